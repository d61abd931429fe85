/* The prototypes of the cases in ui/prototypes. */
#include <linux/types.h>

struct stat;

asmlinkage long sys_read(unsigned int fd, void __user *buf, size_t count);
asmlinkage long sys_write(unsigned int fd, const char __user *buf,
			  size_t count);
asmlinkage long sys_open(const char __user *filename, int flags, umode_t mode);
asmlinkage long sys_newstat(const char __user *filename, struct stat __user *statbuf);
