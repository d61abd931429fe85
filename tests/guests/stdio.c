// The C library's streams on files, over read, write, lseek and fstat.
#include "guest.h"

int main(void)
{
	char buf[64], *line = NULL;
	size_t size = 0;
	int a, b, n;
	FILE *f;

	printf("%d %5d|%-5d|%05d %+d % d %u %x %X %#x %o %#o %c %s %.2s %10s|%-10s| %%\n", 1, 2, 3, 4, 5, 6, 7u, 255, 255, 255, 8, 8, 'c',
	       "string", "cut", "right", "left");
	printf("%ld %lld %lu %zu %jd %hhd %hd %*d %.*s\n", LONG_MIN, LLONG_MAX, ULONG_MAX, sizeof(long), (intmax_t)-1, (char)300,
	       (short)70000, 6, 42, 3, "abcdef");
	printf("%p %p\n", (void *)0x1234, NULL);
	n = printf("counted\n");
	printf("%d\n", n);
	TELL(snprintf(buf, 5, "%s", "too long"));
	puts(buf);
	fputs("fputs\n", stdout);
	putchar('x');
	putc('\n', stdout);
	fprintf(stderr, "to stderr %d\n", 1);
	EXPECT((f = fopen("missing", "r")) == NULL && errno == ENOENT);
	EXPECT((f = fopen("file", "w+")) != NULL);
	for (int i = 0; i < 2000; i++)
		fprintf(f, "line %d\n", i);
	TELL(ftell(f));
	TELL(fseek(f, 0, SEEK_SET));
	TELL(fscanf(f, "line %d\nline %d\n", &a, &b));
	printf("%d %d\n", a, b);
	EXPECT(fgets(buf, sizeof buf, f) == buf);
	fputs(buf, stdout);
	TELL(fgetc(f));
	TELL(ungetc('L', f));
	TELL(getline(&line, &size, f));
	fputs(line, stdout);
	TELL(fseek(f, -5, SEEK_END));
	TELL(fread(buf, 1, sizeof buf, f));
	printf("%.5s", buf);
	TELL(feof(f) != 0);
	TELL(ferror(f));
	clearerr(f);
	TELL(feof(f));
	TELL(fclose(f));
	EXPECT((f = fopen("file", "a")) != NULL);
	TELL(fputs("appended\n", f) >= 0);
	TELL(fclose(f));
	EXPECT((f = fopen("file", "r")) != NULL);
	TELL(fseek(f, -9, SEEK_END));
	EXPECT(fgets(buf, sizeof buf, f) == buf);
	fputs(buf, stdout);
	TELL(fputs("not writable", f));
	TELL(fclose(f));
	EXPECT((f = fopen("file", "wx")) == NULL && errno == EEXIST);
	EXPECT((f = tmpfile()) != NULL);
	TELL(fwrite("12345678", 2, 4, f));
	rewind(f);
	TELL(fread(buf, 3, 4, f));
	printf("%.8s\n", buf);
	TELL(fclose(f));
	EXPECT((f = fopen("unbuffered", "w")) != NULL);
	TELL(setvbuf(f, NULL, _IONBF, 0));
	fputs("straight", f);
	guest_show_file("unbuffered");
	TELL(fclose(f));
	TELL(sscanf("12 abc 0x1f 3.5", "%d %3s %i %lf", &a, buf, &b, &(double){ 0 }));
	printf("%d %s %d\n", a, buf, b);
	TELL(remove("file"));
	TELL(remove("file"));
	errno = EACCES;
	perror("perror");
	EXPECT(freopen("redirected", "w", stderr) != NULL);
	fputs("in the file\n", stderr);
	fflush(stderr);
	guest_show_file("redirected");
	return guest_done();
}
