// An interpreter of a small bytecode: one indirect jump an instruction. argv[1] is up to which number it counts primes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SET, COPY, ADD, ADD_CONSTANT, MULTIPLY, REMAINDER, LESS, JUMP, JUMP_IF, JUMP_UNLESS, HALT };

struct instruction {
	uint8_t operation, a, b, c;
	int32_t value;
};

enum { LIMIT, NUMBER, DIVISOR, SQUARE, REST, FOUND, SUM, YES };

// for (n = 2; n < limit; n++) { for (d = 2; d * d <= n; d++) if (n % d == 0) goto next; found++; sum = sum * 31 + n; next: }
static const struct instruction program[] = {
	[0] = { SET, NUMBER, 0, 0, 2 },
	[1] = { LESS, YES, NUMBER, LIMIT },
	[2] = { JUMP_UNLESS, YES, 0, 0, 17 },
	[3] = { SET, DIVISOR, 0, 0, 2 },
	[4] = { MULTIPLY, SQUARE, DIVISOR, DIVISOR },
	[5] = { LESS, YES, NUMBER, SQUARE },
	[6] = { JUMP_IF, YES, 0, 0, 11 },
	[7] = { REMAINDER, REST, NUMBER, DIVISOR },
	[8] = { JUMP_UNLESS, REST, 0, 0, 15 },
	[9] = { ADD_CONSTANT, DIVISOR, DIVISOR, 0, 1 },
	[10] = { JUMP, 0, 0, 0, 4 },
	[11] = { ADD_CONSTANT, FOUND, FOUND, 0, 1 },
	[12] = { SET, REST, 0, 0, 31 },
	[13] = { MULTIPLY, SUM, SUM, REST },
	[14] = { ADD, SUM, SUM, NUMBER },
	[15] = { ADD_CONSTANT, NUMBER, NUMBER, 0, 1 },
	[16] = { JUMP, 0, 0, 0, 1 },
	[17] = { HALT },
};

__attribute__((noinline)) static uint64_t run(const struct instruction *code, uint32_t r[8])
{
	uint64_t executed = 0;

	for (const struct instruction *i = code;; i++) {
		executed++;
		switch (i->operation) {
		case SET:
			r[i->a] = i->value;
			break;
		case COPY:
			r[i->a] = r[i->b];
			break;
		case ADD:
			r[i->a] = r[i->b] + r[i->c];
			break;
		case ADD_CONSTANT:
			r[i->a] = r[i->b] + i->value;
			break;
		case MULTIPLY:
			r[i->a] = r[i->b] * r[i->c];
			break;
		case REMAINDER:
			r[i->a] = r[i->b] % r[i->c];
			break;
		case LESS:
			r[i->a] = r[i->b] < r[i->c];
			break;
		case JUMP:
			i = code + i->value - 1;
			break;
		case JUMP_IF:
			if (r[i->a])
				i = code + i->value - 1;
			break;
		case JUMP_UNLESS:
			if (!r[i->a])
				i = code + i->value - 1;
			break;
		case HALT:
			return executed;
		}
	}
}

int main(int argc, char **argv)
{
	uint32_t r[8] = { argc > 1 ? atoi(argv[1]) : 100000 };
	uint64_t executed = run(program, r);

	printf("%u primes, %08x, %llu instructions\n", r[FOUND], r[SUM], (unsigned long long)executed);
	return 0;
}
