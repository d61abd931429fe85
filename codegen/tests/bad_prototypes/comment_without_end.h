asmlinkage long sys_a(int a);
/* sys_b comes next
asmlinkage long sys_b(int b);
