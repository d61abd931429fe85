// Planets that attract each other: double arithmetic, divisions and square roots. argv[1] is the number of steps.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 5 };

struct body {
	double at[3], speed[3], mass;
};

static struct body bodies[BODIES];

static double energy(void)
{
	double sum = 0;

	for (int i = 0; i < BODIES; i++) {
		for (int axis = 0; axis < 3; axis++)
			sum += 0.5 * bodies[i].mass * bodies[i].speed[axis] * bodies[i].speed[axis];
		for (int j = i + 1; j < BODIES; j++) {
			double square = 0;

			for (int axis = 0; axis < 3; axis++)
				square += (bodies[i].at[axis] - bodies[j].at[axis]) * (bodies[i].at[axis] - bodies[j].at[axis]);
			sum -= bodies[i].mass * bodies[j].mass / sqrt(square);
		}
	}
	return sum;
}

static void step(double time)
{
	for (int i = 0; i < BODIES; i++) {
		for (int j = i + 1; j < BODIES; j++) {
			struct body *a = &bodies[i], *b = &bodies[j];
			double x = a->at[0] - b->at[0], y = a->at[1] - b->at[1], z = a->at[2] - b->at[2];
			double square = x * x + y * y + z * z, pull = time / (square * sqrt(square));

			a->speed[0] -= x * b->mass * pull;
			a->speed[1] -= y * b->mass * pull;
			a->speed[2] -= z * b->mass * pull;
			b->speed[0] += x * a->mass * pull;
			b->speed[1] += y * a->mass * pull;
			b->speed[2] += z * a->mass * pull;
		}
	}
	for (int i = 0; i < BODIES; i++)
		for (int axis = 0; axis < 3; axis++)
			bodies[i].at[axis] += time * bodies[i].speed[axis];
}

int main(int argc, char **argv)
{
	long steps = argc > 1 ? atol(argv[1]) : 100000;

	for (int i = 0; i < BODIES; i++) {
		double angle = 1.3 * i, far = 2.0 * i + (i > 0);

		bodies[i] = (struct body){ { far * cos(angle), far * sin(angle), 0.1 * i }, { 0, 0, 0 }, i ? 0.01 / i : 40 };
		if (i) {
			bodies[i].speed[0] = -sin(angle) * sqrt(40 / far);
			bodies[i].speed[1] = cos(angle) * sqrt(40 / far);
		}
	}
	printf("%.15f\n", energy());
	for (long i = 0; i < steps; i++)
		step(0.001);
	printf("%.15f\n", energy());
	return 0;
}
