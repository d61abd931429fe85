// SQLite in memory: inserts, an index, selections in order, a join, updates. argv[1] is the number of thousands of rows.
// Needs libsqlite3.a.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static sqlite3 *database;

static int print(void *unused, int columns, char **values, char **names)
{
	for (int i = 0; i < columns; i++)
		printf("%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
	puts("");
	return 0;
}

static void run(const char *statement)
{
	char *error;

	if (sqlite3_exec(database, statement, print, NULL, &error) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", statement, error);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int rows = (argc > 1 ? atoi(argv[1]) : 10) * 1000;
	unsigned seed = 7;
	sqlite3_stmt *insert;

	if (sqlite3_open(":memory:", &database) != SQLITE_OK)
		return 1;
	run("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, town INTEGER, weight REAL)");
	run("CREATE TABLE town (id INTEGER PRIMARY KEY, name TEXT)");
	run("BEGIN");
	sqlite3_prepare_v2(database, "INSERT INTO person VALUES (?, ?, ?, ?)", -1, &insert, NULL);
	for (int i = 0; i < rows; i++) {
		char name[32];

		seed = seed * 1103515245 + 12345;
		snprintf(name, sizeof name, "person %u", seed >> 8);
		sqlite3_bind_int(insert, 1, i);
		sqlite3_bind_text(insert, 2, name, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int(insert, 3, seed >> 16 & 255);
		sqlite3_bind_double(insert, 4, (seed >> 4) % 1000 / 8.0);
		sqlite3_step(insert);
		sqlite3_reset(insert);
	}
	sqlite3_finalize(insert);
	run("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 255) "
	    "INSERT INTO town SELECT i, 'town ' || (i * 37 % 256) FROM n");
	run("COMMIT");
	run("CREATE INDEX by_name ON person (name)");
	run("SELECT count(*), sum(weight), min(name), max(name) FROM person");
	run("SELECT name, weight FROM person ORDER BY weight DESC, name LIMIT 5");
	run("SELECT town.name, count(*), avg(weight) FROM person JOIN town ON town.id = person.town "
	    "GROUP BY town.id ORDER BY 2 DESC, 1 LIMIT 5");
	run("UPDATE person SET weight = weight + length(name) WHERE town % 3 = 0");
	run("SELECT count(*) FROM person a JOIN person b ON a.name = b.name WHERE a.name LIKE '%77%'");
	run("DELETE FROM person WHERE id % 2");
	run("SELECT count(*), round(sum(weight), 3) FROM person");
	return 0;
}
