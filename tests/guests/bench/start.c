// Says hello: what it takes to start a program and to end it.
#include <stdio.h>

int main(void)
{
	puts("hello");
	return 0;
}
