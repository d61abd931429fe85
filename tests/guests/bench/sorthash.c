// qsort with a comparison function, and inserts into a hash table that grows. argv[1] is the number of thousands.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t next(void)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 33;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct entry {
	uint32_t key, count;
};

static struct entry *table;
static size_t slots, used;

static struct entry *find(uint32_t key)
{
	size_t at = key * 2654435761u >> 7 & (slots - 1);

	while (table[at].count && table[at].key != key)
		at = (at + 1) & (slots - 1);
	return &table[at];
}

static void insert(uint32_t key)
{
	if (used * 2 >= slots) {
		struct entry *old = table;
		size_t before = slots;

		slots = slots ? slots * 2 : 16;
		table = calloc(slots, sizeof *table);
		for (size_t i = 0; i < before; i++)
			if (old[i].count)
				*find(old[i].key) = old[i];
		free(old);
	}
	struct entry *entry = find(key);

	used += !entry->count;
	entry->key = key;
	entry->count++;
}

int main(int argc, char **argv)
{
	size_t n = (argc > 1 ? atol(argv[1]) : 100) * 1000, hits = 0;
	uint32_t *numbers = malloc(n * sizeof *numbers), sum = 0;

	for (size_t i = 0; i < n; i++)
		numbers[i] = next();
	qsort(numbers, n, sizeof *numbers, compare);
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + numbers[i];
	for (size_t i = 0; i < 2 * n; i++)
		insert(next() % n);
	for (size_t i = 0; i < n; i++)
		hits += find(i)->count;
	printf("%08x %zu %zu\n", sum, used, hits);
	return 0;
}
