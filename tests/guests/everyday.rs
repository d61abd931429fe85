//! What an everyday Rust program asks of the system: collections (random seeds), formatting, files, unwinding, time.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::panic;
use std::process;
use std::time::{Duration, Instant, SystemTime};

struct Loud(&'static str);

impl Drop for Loud {
    fn drop(&mut self) {
        println!("dropped {}", self.0);
    }
}

fn main() -> io::Result<()> {
    println!("arguments {:?}", std::env::args().skip(1).collect::<Vec<_>>());
    let mut variables: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
    variables.sort();
    println!("variables {variables:?}");

    let mut words: HashMap<&str, usize> = HashMap::new();
    for word in "the quick brown fox jumps over the lazy dog and the quick cat".split(' ') {
        *words.entry(word).or_default() += 1;
    }
    println!("{:?}", words.iter().map(|(word, n)| (*n, *word)).collect::<BTreeMap<_, _>>().len());
    println!("{} {} {:?}", words["the"], words["quick"], words.get("cow"));
    let mut numbers: Vec<u64> = (0..100_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 13).collect();
    numbers.sort_unstable();
    println!("{} {}", numbers[0], numbers[99_999]);
    println!(
        "{:.6} {:e} {:?} {:>8.2}|{:<8}|{:^8}|{:#010x}",
        std::f64::consts::PI,
        1.5e300,
        0.1 + 0.2,
        2.0f32.sqrt(),
        "left",
        "mid",
        48879
    );
    println!(
        "{:?} {:?}",
        "12x".parse::<i32>().map_err(|error| error.to_string()),
        "9223372036854775808".parse::<i64>().is_err()
    );
    println!("{}", u128::MAX / 12_345_678_901_234_567_890 * 3);

    fs::create_dir_all("a/b/c")?;
    let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open("a/b/file")?;
    for n in 0..1000 {
        writeln!(file, "line {n}")?;
    }
    file.seek(SeekFrom::Start(5))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("{} bytes, {} lines", text.len(), text.lines().count());
    println!("{:?}", BufReader::new(fs::File::open("a/b/file")?).lines().nth(500).transpose()?);
    fs::copy("a/b/file", "a/copy")?;
    fs::rename("a/copy", "a/renamed")?;
    println!("{} {}", fs::metadata("a/renamed")?.len(), fs::metadata("a")?.is_dir());
    let mut names: Vec<_> =
        fs::read_dir("a")?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    println!("{names:?}");
    println!("{}", fs::canonicalize("a/b/../renamed")?.ends_with("a/renamed"));
    fs::remove_dir_all("a")?;
    println!("{:?}", fs::metadata("a").map_err(|error| error.kind()).map(|_| ()));
    println!("{:?}", fs::File::open("a/missing").map_err(|error| error.to_string()).map(|_| ()));

    let before = Instant::now();
    std::thread::sleep(Duration::from_millis(15));
    println!("{} {}", before.elapsed() >= Duration::from_millis(15), SystemTime::now() > SystemTime::UNIX_EPOCH);

    panic::set_hook(Box::new(|info| println!("hook: {}", info.payload().downcast_ref::<&str>().unwrap_or(&"?"))));
    let caught = panic::catch_unwind(|| {
        let _first = Loud("first");
        let _second = Loud("second");
        panic!("on purpose");
    });
    println!("caught: {}", caught.is_err());
    io::stdout().flush()?;
    process::exit(3)
}
