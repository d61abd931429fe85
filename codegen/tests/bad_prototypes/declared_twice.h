asmlinkage long sys_a(int a);
asmlinkage long sys_b(void);
asmlinkage long sys_a(long a);
