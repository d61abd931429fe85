// Threads: mutexes, conditions, signals to one of them, masks, joins, and exits with others still waiting.
#include "guest.h"
#include <pthread.h>
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static int counter, ready, handled_by_main;
static volatile int hits;
static __thread int own;
static pthread_t main_thread;
static sem_t handled;

static void *work(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		own++;
	}
	pthread_barrier_wait(&barrier);
	return (void *)(own + (long)arg);
}

static void *wait_for_it(void *arg)
{
	pthread_mutex_lock(&lock);
	ready++;
	pthread_cond_broadcast(&condition);
	while (ready < 100)
		pthread_cond_wait(&condition, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void handler(int sig)
{
	handled_by_main = pthread_equal(pthread_self(), main_thread);
	hits++;
	sem_post(&handled);
	(void)sig;
}

static void *sleep_on(void *arg)
{
	while (hits < 2)
		guest_nap(1);
	return arg;
}

static void *leave(void *arg)
{
	guest_nap(20);
	_exit((long)arg);
}

int main(int argc, char **argv)
{
	pthread_t thread[4];
	void *result;
	sigset_t set;

	if (argc > 1)
		return argv[0][0];
	main_thread = pthread_self();
	pthread_barrier_init(&barrier, NULL, 4);
	for (long i = 0; i < 4; i++)
		TELL(pthread_create(&thread[i], NULL, work, (void *)i));
	for (int i = 0; i < 4; i++) {
		TELL(pthread_join(thread[i], &result));
		printf("%ld\n", (long)result);
	}
	printf("%d %d\n", counter, own);
	for (long i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, wait_for_it, (void *)i);
	pthread_mutex_lock(&lock);
	while (ready < 3)
		pthread_cond_wait(&condition, &lock);
	ready = 100;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < 3; i++)
		TELL(pthread_join(thread[i], NULL));
	// A signal for the process goes to who doesn't block it; one for a thread only to that thread.
	sem_init(&handled, 0, 0);
	signal(SIGUSR1, handler);
	pthread_create(&thread[0], NULL, sleep_on, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	TELL(sem_wait(&handled));
	EXPECT(!handled_by_main);
	TELL(pthread_kill(thread[0], SIGUSR1));
	TELL(sem_wait(&handled));
	TELL(pthread_join(thread[0], NULL));
	TELL(syscall(SYS_tkill, getpid(), 0));
	TELL(syscall(SYS_tgkill, getpid(), 0x7ffffff, 0));
	IN_CHILD("a process that one thread ends", {
		pthread_create(&thread[0], NULL, leave, (void *)42);
		pause();
	});
	hits = -1000000;
	IN_CHILD("a process whose thread faults", {
		pthread_create(&thread[0], NULL, sleep_on, NULL);
		guest_nap(20);
		raise(SIGSEGV);
	});
	IN_CHILD("a process whose main thread leaves first", {
		pthread_create(&thread[0], NULL, leave, (void *)43);
		pthread_exit(NULL);
	});
	IN_CHILD("a thread that executes a program", {
		pthread_create(&thread[0], NULL, sleep_on, NULL);
		guest_nap(10);
		execl("/proc/self/exe", "again", "x", NULL);
	});
	return guest_done();
}
