// Lua with a script of mixed work: closures, strings, tables, sorting, numbers, coroutines. argv[1] is the number of rounds.
// Needs liblua5.4.a.
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] =
	"local rounds = ...\n"
	"local Account = {}\n"
	"Account.__index = Account\n"
	"function Account.new(start) return setmetatable({ total = start, log = {} }, Account) end\n"
	"function Account:add(x) self.total = self.total + x; self.log[#self.log + 1] = x; return self end\n"
	"local function queens(n)\n"
	"  local column, up, down, found = {}, {}, {}, 0\n"
	"  local function place(row)\n"
	"    if row > n then found = found + 1 return end\n"
	"    for c = 1, n do\n"
	"      if not (column[c] or up[row + c] or down[row - c + n]) then\n"
	"        column[c], up[row + c], down[row - c + n] = true, true, true\n"
	"        place(row + 1)\n"
	"        column[c], up[row + c], down[row - c + n] = nil, nil, nil\n"
	"      end\n"
	"    end\n"
	"  end\n"
	"  place(1)\n"
	"  return found\n"
	"end\n"
	"local function words(n)\n"
	"  local out, seed = {}, 42\n"
	"  for i = 1, n do\n"
	"    seed = (seed * 1103515245 + 12345) % 2147483648\n"
	"    out[i] = ('%x-%s'):format(seed, string.rep('ab', seed % 5))\n"
	"  end\n"
	"  return out\n"
	"end\n"
	"local sum = 0\n"
	"for round = 1, rounds do\n"
	"  sum = sum + queens(7)\n"
	"  local list = words(2000)\n"
	"  table.sort(list)\n"
	"  local text, counts = table.concat(list, ' '), {}\n"
	"  for word in text:gmatch('%x+') do counts[#word] = (counts[#word] or 0) + 1 end\n"
	"  sum = sum + select(2, text:gsub('ab', 'ba')) + (counts[8] or 0)\n"
	"  local account = Account.new(round)\n"
	"  for i = 1, 5000 do account:add(i % 7 * 0.5) end\n"
	"  sum = sum + account.total + #account.log\n"
	"  local squares = coroutine.wrap(function() for i = 1, 2000 do coroutine.yield(i * i) end end)\n"
	"  for i = 1, 2000 do sum = sum + squares() % 13 end\n"
	"  for i = 1, 3000 do sum = sum + math.sin(i) * math.sqrt(i) // 1 end\n"
	"end\n"
	"print(sum)\n";

int main(int argc, char **argv)
{
	lua_State *lua = luaL_newstate();

	luaL_openlibs(lua);
	if (luaL_loadstring(lua, script) == LUA_OK) {
		lua_pushinteger(lua, argc > 1 ? atol(argv[1]) : 10);
		if (lua_pcall(lua, 1, 0, 0) == LUA_OK) {
			lua_close(lua);
			return 0;
		}
	}
	fprintf(stderr, "%s\n", lua_tostring(lua, -1));
	return 1;
}
