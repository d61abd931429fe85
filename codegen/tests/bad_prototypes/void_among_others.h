asmlinkage long sys_a(int a, void);
