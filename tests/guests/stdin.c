// Reading standard input: by line, by character, by block, to its end.
#include "guest.h"

int main(void)
{
	char line[64], rest[256];
	ssize_t n, total = 0;
	int value;

	EXPECT(fgets(line, sizeof line, stdin) != NULL);
	printf("first line: %s", line);
	TELL(scanf("%d", &value));
	printf("value: %d\n", value);
	TELL(getchar());
	while ((n = fread(rest + total, 1, sizeof rest - total, stdin)) > 0)
		total += n;
	printf("rest: %.*s", (int)total, rest);
	TELL(feof(stdin) != 0);
	TELL(read(0, rest, sizeof rest));
	TELL(lseek(0, 0, SEEK_CUR));
	TELL(isatty(0));
	return guest_done();
}
