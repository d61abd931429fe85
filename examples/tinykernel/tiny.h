/* What C programs are told of the calls; the handlers are held to it. */
asmlinkage long sys_print(const char __user *text, size_t len);
asmlinkage long sys_led(unsigned char led, bool on);
asmlinkage long sys_uptime(unsigned long __user *ticks);
asmlinkage long sys_halt(int status);
