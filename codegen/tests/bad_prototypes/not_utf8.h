asmlinkage long sys_ÿ(int a);
