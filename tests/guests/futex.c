// futex(2): values, timeouts, private and shared words, bitsets, requeueing, wake-and-operate, robust lists, and its errors in order.
#include "guest.h"
#include <linux/futex.h>
#include <sched.h>
#include <time.h>

static long futex(void *word, int op, uint32_t val, const void *time, void *word2, uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, time, word2, val3);
}

#define TIMEOUT(ms) (&(struct timespec){ 0, (ms) * 1000000L })

static void nothing(int sig)
{
	(void)sig;
}

int main(void)
{
	static uint32_t own = 7, other = 9;
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec now, then;
	pid_t child[4];
	int status;

	MUST((long)shared);
	// What is wrong first.
	TELL(futex((char *)&own + 1, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0));
	TELL(futex(BAD_LOW, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0));
	TELL(futex((void *)-8, FUTEX_WAKE_PRIVATE, 7, NULL, NULL, 0));
	TELL(futex(BAD_LOW, FUTEX_WAKE_PRIVATE, 7, NULL, NULL, 0));
	TELL(futex(BAD_LOW, FUTEX_WAKE, 7, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 8, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 8, BAD_LOW, NULL, 0));
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 8, &(struct timespec){ 0, -1 }, NULL, 0));
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 7, &(struct timespec){ -1, 0 }, NULL, 0));
	TELL(futex(&own, FUTEX_WAIT_BITSET_PRIVATE, 7, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_WAKE_BITSET_PRIVATE, 7, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_WAKE_PRIVATE | FUTEX_CLOCK_REALTIME, 7, NULL, NULL, 0));
	TELL(futex(&own, 99, 7, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_REQUEUE_PRIVATE, -1, NULL, &other, 0));
	TELL(futex(&own, FUTEX_CMP_REQUEUE_PRIVATE, 1, NULL, &other, 8));
	TELL(futex(&own, FUTEX_WAKE_OP_PRIVATE, 1, NULL, &other, 7u << 28));
	TELL(futex(&own, FUTEX_WAKE_OP_PRIVATE, 1, NULL, BAD_LOW, 0));
	TELL(syscall(SYS_set_robust_list, NULL, 23));
	// Nobody waits.
	TELL(futex(&own, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
	TELL(futex(&own, FUTEX_WAKE_OP_PRIVATE, 1, NULL, &other, FUTEX_OP(FUTEX_OP_ADD, 33, FUTEX_OP_CMP_EQ, 9)));
	printf("%u\n", other);
	// Timeouts.
	clock_gettime(CLOCK_MONOTONIC, &now);
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 7, TIMEOUT(20), NULL, 0));
	clock_gettime(CLOCK_MONOTONIC, &then);
	EXPECT((then.tv_sec - now.tv_sec) * 1000000000L + then.tv_nsec - now.tv_nsec >= 20000000);
	TELL(futex(&own, FUTEX_WAIT_BITSET_PRIVATE, 7, &now, NULL, 1));
	clock_gettime(CLOCK_REALTIME, &now);
	TELL(futex(&own, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 7, &now, NULL, 1));
	// Between processes, through shared memory. A private operation doesn't find them.
	for (int i = 0; i < 3; i++) {
		child[i] = MUST(fork());
		if (child[i] == 0)
			_exit(futex(shared, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1 << i) == 0 ? 10 + i : errno);
	}
	guest_nap(60);
	TELL(futex(shared, FUTEX_WAKE_PRIVATE, 3, NULL, NULL, 0));
	TELL(futex(shared + 1, FUTEX_WAKE, 3, NULL, NULL, 0));
	TELL(futex(shared, FUTEX_WAKE_BITSET, 3, NULL, NULL, 8));
	TELL(futex(shared, FUTEX_WAKE_BITSET, 3, NULL, NULL, 2));
	TELL(waitpid(child[1], &status, 0) == child[1]);
	guest_status("the second", status);
	TELL(futex(shared, FUTEX_REQUEUE, 0, (void *)8, shared + 4, 0));
	TELL(futex(shared, FUTEX_WAKE, 3, NULL, NULL, 0));
	TELL(futex(shared + 4, FUTEX_WAKE, 1, NULL, NULL, 0));
	TELL(futex(shared + 8, FUTEX_WAKE_OP, 1, (void *)1, shared + 4, FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_LT, 1)));
	printf("%u\n", shared[4]);
	TELL(waitpid(child[0], &status, 0) == child[0]);
	guest_status("the first", status);
	TELL(waitpid(child[2], &status, 0) == child[2]);
	guest_status("the third", status);
	// A word in private memory is everybody's own, whatever the operation.
	IN_CHILD("a child that waits on its own copy", {
		alarm(0);
		TELL(futex(two, FUTEX_WAIT, 0, TIMEOUT(10), NULL, 0));
	});
	// Signals: a handler ends a wait, unless it has no time limit and the handler says SA_RESTART.
	struct sigaction action = { .sa_handler = nothing };
	sigaction(SIGALRM, &action, NULL);
	ualarm(10000, 0);
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0));
	ualarm(10000, 0);
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 7, &(struct timespec){ 100, 0 }, NULL, 0));
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	ualarm(10000, 0);
	TELL(futex(&own, FUTEX_WAIT_PRIVATE, 7, &(struct timespec){ 100, 0 }, NULL, 0));
	// Who dies with a robust futex leaves a mark and wakes one waiter.
	memset(shared, 0, 4096);
	child[0] = MUST(fork());
	if (child[0] == 0) {
		struct robust_list *entry = (void *)(shared + 16);
		static struct robust_list_head head;
		head.list.next = entry;
		entry->next = &head.list;
		head.futex_offset = 16;
		MUST(syscall(SYS_set_robust_list, &head, sizeof head));
		shared[20] = syscall(SYS_gettid) | FUTEX_WAITERS;
		shared[0] = 1;
		futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
		guest_nap(50);
		_exit(0);
	}
	while (shared[0] == 0)
		futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
	TELL(futex(shared + 20, FUTEX_WAIT, shared[20], NULL, NULL, 0));
	EXPECT(shared[20] == (FUTEX_OWNER_DIED | FUTEX_WAITERS));
	TELL(waitpid(child[0], &status, 0) == child[0]);
	return guest_done();
}
