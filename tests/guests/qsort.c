// qsort(3) and bsearch(3): function pointers, comparisons, memory moves.
#include "guest.h"

struct record {
	char name[12];
	int key;
	double weight;
};

static int ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int weights(const void *a, const void *b)
{
	double x = ((const struct record *)a)->weight, y = ((const struct record *)b)->weight;

	return (x > y) - (x < y);
}

int main(void)
{
	static int numbers[20000];
	char *words[] = { "pear", "apple", "fig", "banana", "cherry", "date", "elderberry", "grape" };
	struct record records[50];
	uint32_t seed = 42, hash = 0;
	bool sorted = true;
	int key = 0;

	for (size_t i = 0; i < 20000; i++)
		numbers[i] = (int)(seed = seed * 1664525 + 1013904223);
	key = numbers[777];
	qsort(numbers, 20000, sizeof *numbers, ints);
	for (size_t i = 1; i < 20000; i++) {
		sorted &= numbers[i - 1] <= numbers[i];
		hash = hash * 31 + numbers[i];
	}
	EXPECT(sorted);
	printf("%08x %d %d\n", hash, numbers[0], numbers[19999]);
	EXPECT(*(int *)bsearch(&key, numbers, 20000, sizeof *numbers, ints) == key);
	qsort(words, 8, sizeof *words, strings);
	for (int i = 0; i < 8; i++)
		printf("%s ", words[i]);
	puts("");
	for (int i = 0; i < 50; i++) {
		snprintf(records[i].name, sizeof records[i].name, "r%d", i);
		records[i].key = i;
		records[i].weight = (i * 37 % 50) / 7.0 - 3;
	}
	qsort(records, 50, sizeof *records, weights);
	for (int i = 0; i < 50; i += 7)
		printf("%s %d %.3f\n", records[i].name, records[i].key, records[i].weight);
	return guest_done();
}
