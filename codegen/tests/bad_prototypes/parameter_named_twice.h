asmlinkage long sys_rename(const char __user *name,
			   const char __user *name);
