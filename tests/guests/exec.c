// execve(2): arguments and environment, scripts, what a program keeps and loses, and what can't be executed.
#define GUEST_KEEPS_DESCRIPTORS
#include "guest.h"
#include <sys/prctl.h>

extern char **environ;

static void copy_self(const char *path)
{
	char buf[65536];
	ssize_t n;
	int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755));

	while ((n = MUST(read(in, buf, sizeof buf))) > 0)
		MUST(write(out, buf, n));
	close(in), close(out);
}

static void script(const char *path, const char *text)
{
	guest_write_file(path, text);
	MUST(chmod(path, 0755));
}

// What the executed copy of this program says of itself.
static int executed(int argc, char **argv)
{
	struct sigaction action;
	sigset_t set;
	char name[17] = "";
	const char *slash = strrchr(argv[0], '/');

	printf("  name <%s>", slash ? slash + 1 : argv[0]);
	for (int i = 1; i < argc; i++)
		printf(" <%s>", argv[i]);
	puts("");
	for (char **e = environ; *e; e++)
		printf("  env %s\n", *e);
	prctl(PR_GET_NAME, name);
	// Until 6.14, Linux called a program that was executed by descriptor by the descriptor's number.
	if (strcmp(argv[0], "by descriptor") != 0)
		printf("  comm %s\n", name);
	printf("  descriptors");
	for (int fd = 0; fd < 20; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\n  signals");
	for (int sig = 1; sig < 32; sig++) {
		sigaction(sig, NULL, &action);
		if (action.sa_handler != SIG_DFL)
			printf(" %d%s", sig, action.sa_handler == SIG_IGN ? " ignored" : " handled");
	}
	sigprocmask(SIG_SETMASK, NULL, &set);
	printf("; SIGUSR2 %s\n", sigismember(&set, SIGUSR2) ? "blocked" : "open");
	printf("  umask %o, pending SIGUSR2: ", umask(0));
	sigpending(&set);
	printf("%d\n", sigismember(&set, SIGUSR2));
	return 33;
}

static void handler(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	static char *big[40000], huge[200000];
	char *none[] = { NULL };
	sigset_t set;

	if (argc > 1 && strcmp(argv[argc - 1], "main") != 0)
		return executed(argc, argv);
	syscall(436 /* close_range */, 3, ~0u, 0);
	umask(022);
	copy_self("self");
	IN_CHILD("a program with arguments",
		 { TELL(execve("./self", (char *[]){ "any name", "one", "", "three words here", NULL }, (char *[]){ "A=1", "B=", "no sign", NULL })); });
	IN_CHILD("an empty environment", { TELL(execve("self", (char *[]){ "self", "x", NULL }, none)); });
	IN_CHILD("what is kept", {
		int fd = MUST(open("self", O_RDONLY)), other = MUST(open("self", O_RDONLY | O_CLOEXEC));

		MUST(dup2(fd, 10)), MUST(dup2(fd, 11));
		MUST(fcntl(11, F_SETFD, FD_CLOEXEC));
		(void)other;
		signal(SIGUSR1, handler), signal(SIGHUP, SIG_IGN), signal(SIGINT, handler), signal(SIGCHLD, SIG_IGN);
		sigemptyset(&set), sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGUSR2);
		umask(0123);
		TELL(execve("self", (char *[]){ "self", "x", NULL }, none));
	});
	script("script", "#!./self\nanything at all\n");
	IN_CHILD("a script", { TELL(execve("./script", (char *[]){ "given name", "a", "b", NULL }, none)); });
	script("script", "#! ./self  one argument with blanks \t\n");
	IN_CHILD("a script with an argument", { TELL(execve("script", (char *[]){ "script", "a", NULL }, none)); });
	script("script", "#!./self without a newline");
	IN_CHILD("a script of one unfinished line", { TELL(execve("script", (char *[]){ "script", NULL }, none)); });
	script("outer", "#!./script\n");
	script("script", "#!./self inner\n");
	IN_CHILD("a script for a script", { TELL(execve("outer", (char *[]){ "outer", "a", NULL }, none)); });
	script("script", "#!./script\n");
	IN_CHILD("a script for itself", { TELL(execve("script", (char *[]){ "script", NULL }, none)); });
	script("script", "#!./missing\n");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	script("script", "#!\n");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	script("script", "#!   \t \n");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	script("script", "#!/\n");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	script("script", "echo no interpreter\n");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	script("script", "");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	script("script", "\177ELF");
	TELL(execve("script", (char *[]){ "script", NULL }, none));
	copy_self("short");
	MUST(truncate("short", 40));
	TELL(execve("short", (char *[]){ "short", NULL }, none));
	MUST(chmod("self", 0644));
	TELL(execve("self", (char *[]){ "self", NULL }, none));
	MUST(chmod("self", 0755));
	// Another machine's program, another class, a bad count of headers.
	for (int i = 0; i < 4; i++) {
		static const struct {
			int offset;
			unsigned char value;
		} damage[] = { { 18, 183 /* aarch64 */ }, { 16, 1 /* relocatable */ }, { 54, 55 /* e_phentsize */ }, { 56, 0 /* e_phnum */ } };
		int fd;

		copy_self("damaged");
		fd = MUST(open("damaged", O_WRONLY));
		MUST(pwrite(fd, &damage[i].value, 1, damage[i].offset));
		close(fd);
		TELL(execve("damaged", (char *[]){ "damaged", NULL }, none));
	}
	TELL(execve(".", (char *[]){ "x", NULL }, none));
	TELL(execve("", (char *[]){ "x", NULL }, none));
	TELL(execve("/dev/null", (char *[]){ "x", NULL }, none));
	// Too much: one string above 128 KiB, or all of them above the limit.
	memset(huge, 'h', sizeof huge - 1);
	TELL(execve("self", (char *[]){ "self", huge, NULL }, none));
	huge[131071] = 0;
	for (int i = 0; i < 39999; i++)
		big[i] = huge;
	TELL(execve("self", big, none));
	// execveat, fexecve, PATH.
	IN_CHILD("fexecve", {
		int fd = MUST(open("self", O_RDONLY | O_CLOEXEC));

		TELL(fexecve(fd, (char *[]){ "by descriptor", "x", NULL }, none));
	});
	IN_CHILD("execvp", {
		setenv("PATH", "/missing:.", 1);
		unsetenv("HOME"), unsetenv("TERM");
		TELL(execvp("self", (char *[]){ "self", "found", NULL }));
	});
	return guest_done();
}
