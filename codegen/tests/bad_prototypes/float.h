asmlinkage long sys_a(double x);
asmlinkage long sys_b(int n, float y);
