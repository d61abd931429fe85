asmlinkage long 9sys(int a);
asmlinkage long sys_b(int 2nd);
