asmlinkage long sys_a(struct foo bar[2], struct foo bar2);
