sys_a(int a);
