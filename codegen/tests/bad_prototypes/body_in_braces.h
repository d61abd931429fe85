asmlinkage long sys_a(int a)
{
	return a;
}
