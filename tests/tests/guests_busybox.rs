//! Debian's busybox-static: the applets and the shell that people use every day, each as a command line that prints the
//! same here as natively.
//!
//! Its shell runs applets without a search of PATH, by executing itself, so one program is enough for whole pipelines.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use callgate_tests::{Guest, skip};

fn busybox() -> Option<PathBuf> {
    let found = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| is_static(path));
    if found.is_none() {
        skip("no static busybox");
    }
    found
}

/// An ELF file without a PT_INTERP header needs no interpreter.
fn is_static(path: &Path) -> bool {
    const INTERPRETER: u32 = 3;
    let Ok(bytes) = std::fs::read(path) else { return false };
    let field = |at: usize, n: usize| {
        bytes.get(at..at + n).map_or(0, |field| field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let (table, size, count) = (field(32, 8) as usize, field(54, 2) as usize, field(56, 2) as usize);
    bytes.starts_with(b"\x7fELF") && (0..count).all(|index| field(table + index * size, 4) != u64::from(INTERPRETER))
}

/// A test for each command line: `name: ["applet", "argument"…]`, or `name: "script"` for `busybox sh -c 'script'`. `<`
/// gives it input, `=>` says what else there is to know.
macro_rules! busybox {
    ($($name:ident: $command:tt $(< $input:expr)? $(=> $set_up:expr)?;)*) => {$(
        #[test]
        fn $name() {
            let Some(busybox) = busybox() else { return };
            let guest = Guest::installed(&busybox).args(busybox!(@ $command));
            $(let guest = guest.input($input);)?
            $(let set_up: fn(Guest) -> Guest = $set_up; let guest = set_up(guest);)?
            guest.check();
        }
    )*};
    (@ [$($arg:literal),*]) => { [$($arg),*] };
    (@ $script:literal) => { ["sh", "-c", $script] };
}

const TEXT: &str = "the quick brown fox\njumps over\nthe lazy dog\n\n12 apples\n7 pears\n100 plums\n";

busybox! {
    echo: ["echo", "hello", "-n", "world"];
    echo_escapes: ["echo", "-e", "a\\tb\\x41\\n\\c", "unseen"];
    cat: ["cat"] < TEXT;
    cat_numbers_lines: ["cat", "-n"] < TEXT;
    sha256sum: ["sha256sum"] < "abc";
    sha512sum: ["sha512sum"] < TEXT;
    sha1sum: ["sha1sum"] < TEXT;
    md5sum: ["md5sum"] < TEXT;
    crc32: ["crc32"] < TEXT;
    sum_of_a_megabyte: "head -c 1000000 /dev/zero | sha256sum";
    sort: ["sort"] < TEXT;
    sort_numbers: ["sort", "-rn"] < TEXT;
    sort_by_field: ["sort", "-k2", "-t", " "] < TEXT;
    uniq: ["uniq", "-c"] < "a\na\nb\na\n";
    awk: ["awk", "{ n += $1; words += NF } END { print n, words, NR; printf \"%.3f %d %s\\n\", n / 7, NR, toupper(\"done\") }"] < TEXT;
    awk_arrays: ["awk", "{ for (i = 1; i <= NF; i++) count[$i]++ } END { print count[\"the\"], length(count) }"] < TEXT;
    awk_floats: ["awk", "BEGIN { print sin(1), exp(1), sqrt(2), 2 ^ 0.5, int(-3.7), 1e6, 1e300 * 1e10 }"];
    awk_functions: ["awk", "function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(18) }"];
    sed: ["sed", "s/the/THE/g; /jumps/d; $a last"] < TEXT;
    sed_groups: ["sed", "-E", "-n", "s/([a-z]+) ([a-z]+)/\\2 \\1/p"] < TEXT;
    grep: ["grep", "-n", "o.e"] < TEXT;
    grep_extended: ["grep", "-Ec", "^[0-9]+ "] < TEXT;
    grep_without_a_match: ["grep", "zebra"] < TEXT => |guest| guest.ends_with(1);
    bc: ["bc"] < "2^100\nscale=20\n1/7\nsqrt(2)\n";
    bc_functions: ["bc", "-l"] < "define f(n) { if (n < 2) return 1; return n * f(n - 1); }\nf(30)\ns(1)\n";
    dc: ["dc"] < "2 3 + p 10 * p 7 / p\n";
    date_of_the_epoch: ["date", "-u", "-d", "@0"];
    date_formats: ["date", "-u", "-d", "@1700000000", "+%Y-%m-%dT%H:%M:%SZ %j %a %s"];
    cal: ["cal", "2", "2024"];
    expr: ["expr", "6", "*", "7"];
    expr_match: ["expr", "callgate-42", ":", "[a-z]*-\\([0-9]*\\)"];
    expr_is_zero: ["expr", "3", "-", "3"] => |guest| guest.ends_with(1);
    factor: ["factor", "1234567890123456789"];
    head: ["head", "-n", "2"] < TEXT;
    tail: ["tail", "-n", "+3"] < TEXT;
    tail_bytes: ["tail", "-c", "10"] < TEXT;
    tac: ["tac"] < TEXT;
    rev: ["rev"] < TEXT;
    wc: ["wc"] < TEXT;
    tr: ["tr", "a-z", "A-Z"] < TEXT;
    tr_squeezes: ["tr", "-cs", "a-z", "\\n"] < TEXT;
    cut: ["cut", "-d", " ", "-f", "2,3"] < TEXT;
    paste: "seq 3 > a; seq 4 6 > b; paste -d: a b";
    fold: ["fold", "-w", "7"] < TEXT;
    nl: ["nl"] < TEXT;
    expand: ["expand", "-t", "4"] < "a\tb\n\tc\n";
    xxd: ["xxd"] < TEXT;
    xxd_back: "echo hello | xxd -p | xxd -r -p";
    hexdump: ["hexdump", "-C"] < TEXT;
    od: ["od", "-t", "x1z"] < TEXT;
    strings: ["strings"] < b"\x00\x01abcdef\x00xy\x02longer text\xff".as_slice();
    base64: ["base64"] < TEXT;
    base64_back: ["base64", "-d"] < "aGVsbG8gd29ybGQK";
    uuencode: "echo text | uuencode name";
    seq: ["seq", "-w", "8", "2", "14"];
    printf: ["printf", "%s is %d and %x, %5.2f|%-6s|\\n", "it", "255", "255", "3.14159", "left"];
    test: ["test", "3", "-gt", "4"] => |guest| guest.ends_with(1);
    basename: ["basename", "/a/b/c.txt", ".txt"];
    dirname: ["dirname", "/a/b/c.txt"];
    true_: ["true"];
    false_: ["false"] => |guest| guest.ends_with(1);
    uname_machine: ["uname", "-sm"];
    uname_all: ["uname", "-a"] => |guest| guest.normalise(|text| {
        // The system, the machine and the operating system; the rest is the machine's own.
        let words: Vec<_> = text.split_whitespace().collect();
        let own = [words.first(), words.iter().rev().nth(1), words.last()];
        format!("{own:?} and {}", if words.len() >= 6 { "more" } else { text })
    });
    root_listing: ["ls", "-la", "/"] => |guest| guest.normalise(|text| {
        let directories = text.lines().filter(|line| line.starts_with('d')).filter_map(|line| line.split_whitespace().last());
        let mut known: Vec<_> = directories.filter(|name| [".", "..", "proc", "dev", "tmp", "sys"].contains(name)).collect();
        known.sort_unstable();
        format!("{known:?}")
    });
    unknown_applet: ["no-such-applet"] => |guest| guest.ends_with(127);
    // Files, in a directory of their own.
    ls: "mkdir d; touch d/b d/a d/.hidden; ls d; ls -A d; ls -1 d/a missing";
    ls_long: "umask 022; mkdir d; echo 12345 > d/file; ln -s file d/link; ls -l d | awk 'NR > 1 { print $1, $2, $5, $9, $10, $11 }' | sed 's/^l\\(.*\\) [0-9]* file/l\\1 file/'";
    stat: "umask 022; echo 12345 > f; stat -c '%n %s %a %F %h' f; stat -c '%F' . /dev/null";
    find: "mkdir -p a/b/c; touch a/x a/b/y a/b/c/z.txt; find a | sort; find a -name '*.txt'; find a -type d -exec echo dir {} ';' | sort";
    tar: "mkdir t; echo one > t/1; echo two > t/2; ln -s 1 t/l; tar cf t.tar t; rm -r t; tar tf t.tar | sort; tar xf t.tar; cat t/1 t/l t/2";
    tar_gzip: "mkdir t; seq 1000 > t/n; tar cf - t | gzip > t.tgz; rm -r t; gunzip -c t.tgz | tar xf -; md5sum t/n";
    gzip: "seq 10000 > f; gzip f; ls; gunzip f.gz; md5sum f";
    bzip2: "seq 3000 | bzip2 | bunzip2 | md5sum";
    cpio: "echo x > f; echo f | cpio -o -H newc 2>/dev/null > a; rm f; cpio -i < a 2>/dev/null; cat f";
    cp: "mkdir a; echo x > a/f; ln -s f a/l; chmod 600 a/f; cp -a a b; ls b; stat -c '%a %F' b/f b/l; cp a/f a/g; cat a/g";
    mv: "echo 1 > a; echo 2 > b; mv a b; cat b; mkdir d; mv b d; ls d; mv missing x";
    rm: "mkdir -p a/b; touch a/f; rm a; rm -r a; rm -f missing; rm missing; ls";
    ln: "echo x > f; ln f g; ln -s f s; readlink s; rm f; cat g; cat s";
    mkdir: "mkdir a/b; mkdir -p a/b; mkdir a; rmdir a; rmdir a/b a; ls";
    chmod: "umask 022; touch f; chmod u+x,g-r,o=w f; stat -c %a f; chmod 4755 f; stat -c %a f";
    touch: "touch -d @86400 f; stat -c %Y f; touch -c none; ls";
    dd: "dd if=/dev/zero bs=1000 count=3 2>/dev/null | tr '\\0' x | dd bs=7 skip=1 count=2 2>/dev/null; echo; printf abcdef > f; printf XY | dd of=f bs=1 seek=2 conv=notrunc 2>/dev/null; cat f";
    truncate: "truncate -s 5 f; wc -c f; echo ab > f; truncate -s 1 f; cat f";
    du: "mkdir d; seq 2000 > d/f; du -s d | awk '{ print ($1 > 4), $2 }'";
    cmp: "echo a > a; echo b > b; cmp a b; echo $?; cmp a a; echo $?";
    diff: "seq 5 > a; sed 3d a > b; diff a b; echo $?; diff -u a b | sed '/^[-+][-+]/d'";
    patch: "seq 5 > a; printf '3c3\\n< 3\\n---\\n> three\\n' > p; sed s/3/three/ a > b; diff -u a b > p; patch a p; cat a";
    mktemp: "f=$(mktemp /tmp/x.XXXXXX); test -f $f && echo made; rm $f";
    mkfifo: "mkfifo p; (echo through > p) & cat p; wait";
    tee: "echo x | tee a b; cat a b";
    xargs: "seq 7 | xargs -n 3 echo row";
    split_and_join: "seq 10 > f; head -n 5 f > a; tail -n 5 f > b; cat a b | cmp - f && echo same";
    realpath: "mkdir -p a/b; ln -s a/b l; cd l; basename $(realpath .); pwd | sed 's/.*\\///'; cd -P .; pwd | sed 's/.*\\///'";
    id: ["id", "-u"] => |guest| guest.needs_root();
    whoami_by_number: "test $(id -u) -eq $(stat -c %u /proc/self) && echo same";
    env: "unset PWD; env | sort";
    env_sets: ["env", "-i", "A=1", "/proc/self/exe", "env"];
    which: "which sh > /dev/null; test $? -lt 2 && echo $?" => |guest| guest.normalise(|text| text.len().to_string());
    sleep: ["sleep", "0.05"];
    timeout: "timeout 1 sleep 5; echo $?" => |guest| guest.ends_with(0);
    time: "time true 2>&1 | grep -c real";
    ps: "ps -o pid,comm | grep -c \"^ *$$ \"";
    kill: "{ sleep 10 & kill $!; wait $!; echo $?; } 2>/dev/null";
    nproc: "test $(nproc) -ge 1 && echo some";
    free: "free | head -n 2 | awk '{ print $1 }'";
    yes: "yes | head -n 3";
    cksum_of_itself: "test $(wc -c < /proc/self/exe) -gt 100000 && echo large";
    vi_of_numbers: "seq 5 | ed -s 2>/dev/null; echo $?" => |guest| guest.normalise(|_| String::new());
    // The shell.
    sh_arithmetic: "echo $((6 * 7)) $((2 ** 10)) $((-7 / 2)) $((-7 % 3)) $((0x1f)) $((1 << 40)) $((5 > 3 ? 1 : 2))";
    sh_pipeline: "seq 1 1000 | sort -rn | head -3";
    sh_long_pipeline: "seq 1 500 | grep 7 | sed 's/7/seven/' | tr a-z A-Z | awk '{ print length($0) }' | sort -n | uniq -c | head -n 5";
    sh_for: "for i in a b c; do echo -n \"$i \"; done; echo";
    sh_while: "i=0; while [ $i -lt 100 ]; do i=$((i + 1)); done; echo $i";
    sh_until_break_continue: "i=0; until false; do i=$((i + 1)); [ $i -eq 3 ] && continue; [ $i -gt 5 ] && break; echo $i; done";
    sh_case: "for w in apple banana 42 ''; do case $w in a*) echo A;; *n*) echo N;; [0-9]*) echo number;; *) echo other;; esac; done";
    sh_functions: "f() { local x=$1; [ $x -le 1 ] && echo 1 && return; echo $((x * $(f $((x - 1))))); }; f 8";
    sh_substitution: "echo $(echo inner $(echo deeper)) `echo old`";
    sh_expansions: "x=path/to/file.txt; echo ${x##*/} ${x%.txt} ${#x} ${y:-default} ${x/to/from} ${x:5:2}; echo ${z:?unset}" => |guest| guest.ends_with(2);
    sh_redirections: "echo out; echo err >&2; { echo 1; echo 2 >&2; } > f 2>&1; cat f; echo more >> f; wc -l < f; exec 3> g; echo three >&3; exec 3>&-; cat g";
    sh_here_document: "x=value; cat << END\nplain $x $((1 + 1))\nEND\ncat << 'END'\nquoted $x\nEND\ncat <<- END\n\ttabs\n\tEND";
    sh_large_here_document: "x=$(seq 1 3000); wc -l << END\n$x\nEND";
    sh_background: "(sleep 0.05; echo later) & echo first; wait; echo last";
    sh_wait_for_status: "(exit 3) & wait $!; echo $?; (exit 4) & (exit 5) & wait; echo $?";
    sh_many_jobs: "for i in 1 2 3 4 5; do (exit $i) & pids=\"$pids $!\"; done; for p in $pids; do wait $p; echo -n \"$? \"; done; echo";
    sh_trap_exit: "trap 'echo bye' EXIT; echo hello; exit 4" => |guest| guest.ends_with(4);
    sh_trap_signal: "trap 'echo got it' USR1; kill -USR1 $$; echo after";
    sh_trap_while_waiting: "trap 'echo alarm; exit 9' TERM; (sleep 0.05; kill -TERM $$) & wait; echo not reached" => |guest| guest.ends_with(9);
    sh_trap_ignored: "trap '' TERM; kill -TERM $$; echo alive; trap - TERM; kill -TERM $$; echo dead" => |guest| guest.ends_with(143);
    sh_killed_by_its_own_hand: "kill -9 $$" => |guest| guest.ends_with(137);
    sh_status_of_signals: "sh -c 'kill -SEGV $$' 2>/dev/null; echo $?; sh -c 'kill -INT $$' 2>/dev/null; echo $?";
    sh_and_or: "true && echo yes || echo no; false && echo yes || echo no; ! false; echo $?";
    sh_pipeline_status: "false | true; echo $?; set -o pipefail; false | true; echo $?";
    sh_errexit: "set -e; echo before; false; echo after" => |guest| guest.ends_with(1);
    sh_nounset: "set -u; echo $nothing" => |guest| guest.ends_with(2);
    sh_xtrace: "set -x; a=1; echo $a";
    sh_parameters: "set -- one 'two words' three; echo $# \"$2\"; shift; echo $1; for a in \"$@\"; do echo \"<$a>\"; done";
    sh_getopts: "set -- -a -b value rest; while getopts ab: o; do echo $o $OPTARG; done; shift $((OPTIND - 1)); echo $1";
    sh_read: "printf 'a b c\\nd e\\n' | while read x y; do echo \"$y,$x\"; done";
    sh_read_from_input: "read a; read b; echo \"$b then $a\"" < "first\nsecond\n";
    sh_glob: "touch a1 a2 b1; echo a* ?1 [!a]* z*; mkdir d; touch d/x; echo */";
    sh_subshell_keeps_variables: "x=1; (x=2; cd /; echo $x); echo $x; pwd | grep -c tmp";
    sh_test: "[ -d . ] && [ ! -f . ] && [ abc = abc ] && [ 3 -lt 10 -a -n x ] && echo all";
    sh_printf: "printf '%03d|%s|%5.1f|%x|%c|%b\\n' 7 text 2.25 255 char 'a\\tb'";
    sh_eval: "x='echo evaluated'; eval $x; y=x; eval echo \\$$y";
    sh_exec: "exec echo replaced; echo not reached";
    sh_source: "echo 'v=sourced' > f; . ./f; echo $v";
    sh_script_file: "printf '#!/proc/self/exe sh\\necho never\\n' > s; printf 'echo $0 $1' > t; sh t argument";
    sh_not_found: "no-such-command; echo $?; ./no-such-file; echo $?; touch f; ./f; echo $?; mkdir d; ./d; echo $?";
    sh_command_exists: "type cd | head -c 2; command -v no-such-command; echo $?";
    sh_umask: "umask 077; touch f; stat -c %a f; umask";
    sh_ulimit: "ulimit -n 64; ulimit -n";
    sh_sigpipe: "yes | head -n 1; echo $?";
    sh_deep_recursion: "f() { [ $1 -eq 0 ] && echo bottom || f $(($1 - 1)); }; f 200";
    sh_big_loop: "i=0; s=0; while [ $i -lt 3000 ]; do s=$((s + i * i)); i=$((i + 1)); done; echo $s";
    sh_fork_storm: "for i in $(seq 40); do echo $i | cat > /dev/null; done; echo done";
    sh_fields: "IFS=:; x=a:b::c; set -- $x; echo $#; unset IFS; echo ${x%%:*}";
    sh_syntax_error: "if true; then echo" => |guest| guest.ends_with(2);
    sh_from_input: ["sh"] < "echo one\nx=2\necho $x\nexit 6\n" => |guest| guest.ends_with(6);
    sh_coprocess_by_fifos: "mkfifo in out; (while read x; do echo $((x * x)); done < in > out) & exec 3> in 4< out; for i in 3 4 5; do echo $i >&3; read r <&4; echo $r; done; exec 3>&-; wait";
}
