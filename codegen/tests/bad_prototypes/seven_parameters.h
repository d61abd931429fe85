asmlinkage long sys_a(int a, int b, int c,
		      int d, int e, int f,
		      int g);
