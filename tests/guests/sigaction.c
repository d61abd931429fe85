// Signal handlers: what they are given, what is blocked while they run, and where the program goes on.
#include "guest.h"
#include <ucontext.h>

static volatile sig_atomic_t count, nested, order[16], n;
static siginfo_t last;
static sigset_t mask_inside;

static void simple(int sig)
{
	order[n++] = sig;
	count++;
}

static void detailed(int sig, siginfo_t *info, void *context)
{
	(void)context;
	order[n++] = sig;
	last = *info;
	sigprocmask(SIG_SETMASK, NULL, &mask_inside);
}

static void nesting(int sig)
{
	order[n++] = sig;
	if (nested++ < 3)
		raise(sig);
	order[n++] = -sig;
}

static void moves_on(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig, (void)info;
	u->uc_mcontext.gregs[REG_RIP] += 2; // over ud2
	u->uc_mcontext.gregs[REG_RBX] = 0x1234;
}

static void show_order(void)
{
	for (int i = 0; i < n; i++)
		printf("%d ", order[i]);
	puts("");
	n = 0;
}

int main(void)
{
	struct sigaction action = { 0 }, old;
	sigset_t set;
	uint64_t rbx;
	double x = 1.5;
	volatile double y;

	action.sa_handler = simple;
	TELL(sigaction(SIGUSR1, &action, &old));
	EXPECT(old.sa_handler == SIG_DFL && old.sa_flags == 0);
	TELL(sigaction(SIGUSR1, NULL, &old));
	EXPECT(old.sa_handler == simple);
	y = x * 3;
	TELL(raise(SIGUSR1));
	EXPECT(y == 4.5);
	TELL(count);
	TELL(kill(getpid(), SIGUSR1));
	TELL(count);
	show_order();
	// siginfo, and the mask while the handler runs.
	action.sa_sigaction = detailed;
	action.sa_flags = SA_SIGINFO;
	sigemptyset(&action.sa_mask), sigaddset(&action.sa_mask, SIGTERM);
	TELL(sigaction(SIGUSR2, &action, NULL));
	TELL(kill(getpid(), SIGUSR2));
	EXPECT(last.si_signo == SIGUSR2 && last.si_code == SI_USER && last.si_pid == getpid() && last.si_uid == getuid());
	EXPECT(sigismember(&mask_inside, SIGUSR2) && sigismember(&mask_inside, SIGTERM) && !sigismember(&mask_inside, SIGUSR1));
	sigprocmask(SIG_SETMASK, NULL, &set);
	EXPECT(!sigismember(&set, SIGUSR2) && !sigismember(&set, SIGTERM));
	TELL(sigqueue(getpid(), SIGUSR2, (union sigval){ .sival_int = 4711 }));
	EXPECT(last.si_code == SI_QUEUE && last.si_value.sival_int == 4711);
	TELL(raise(SIGUSR2));
	EXPECT(last.si_code == SI_TKILL);
	show_order();
	// SA_NODEFER: the signal may interrupt its own handler; without it, it waits.
	action.sa_handler = nesting;
	action.sa_flags = SA_NODEFER;
	sigemptyset(&action.sa_mask);
	TELL(sigaction(SIGUSR1, &action, NULL));
	TELL(raise(SIGUSR1));
	show_order();
	nested = 0;
	action.sa_flags = 0;
	TELL(sigaction(SIGUSR1, &action, NULL));
	TELL(raise(SIGUSR1));
	show_order();
	// SA_RESETHAND: one time only.
	action.sa_handler = simple;
	action.sa_flags = SA_RESETHAND;
	TELL(sigaction(SIGUSR1, &action, NULL));
	TELL(raise(SIGUSR1));
	TELL(sigaction(SIGUSR1, NULL, &old));
	EXPECT(old.sa_handler == SIG_DFL);
	show_order();
	// Blocked signals wait; one of a kind is kept; real-time signals queue in order; the lowest number comes first.
	action.sa_flags = 0;
	for (int sig = SIGRTMIN; sig < SIGRTMIN + 3; sig++)
		sigaction(sig, &action, NULL);
	sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL), sigaction(SIGTERM, &action, NULL);
	sigfillset(&set);
	TELL(sigprocmask(SIG_BLOCK, &set, NULL));
	raise(SIGTERM), raise(SIGUSR2), raise(SIGUSR1), raise(SIGUSR1), raise(SIGRTMIN + 2), raise(SIGRTMIN), raise(SIGRTMIN);
	TELL(n);
	sigpending(&set);
	EXPECT(sigismember(&set, SIGUSR1) && sigismember(&set, SIGRTMIN) && !sigismember(&set, SIGHUP));
	sigemptyset(&set);
	TELL(sigprocmask(SIG_SETMASK, &set, NULL));
	// The last one set up runs first, so that each handler is interrupted by the next: what is printed is the order of their runs.
	show_order();
	// Ignoring a pending signal throws it away.
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR1, simple);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	TELL(n);
	// A handler may change where and with what the program goes on.
	action.sa_sigaction = moves_on;
	action.sa_flags = SA_SIGINFO;
	TELL(sigaction(SIGILL, &action, NULL));
	asm volatile("xor %%ebx, %%ebx\n ud2\n mov %%rbx, %0" : "=r"(rbx) : : "rbx");
	printf("%llx\n", (unsigned long long)rbx);
	return guest_done();
}
