// cat(1) of its arguments. (Not compared natively: for questions of what can be seen.)
#include "guest.h"

int main(int argc, char **argv)
{
	char buf[4096];
	ssize_t n;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);

		if (fd < 0) {
			perror(argv[i]);
			return 1;
		}
		while ((n = read(fd, buf, sizeof buf)) > 0)
			write(1, buf, n);
		close(fd);
	}
	return 0;
}
