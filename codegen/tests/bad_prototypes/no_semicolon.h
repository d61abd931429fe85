asmlinkage long sys_a(int a)
asmlinkage long sys_b(int b);
