asmlinkage long sys_a(pid_t uid_t who);
