//! Command lines out of parts: a part's flags, the defaults before them, and the user's own flags after them, which
//! win; except that a part with a limit of its own keeps it, and that filling goes by its own pipeline.

use tessera_core::resp::split_args;

use crate::error::BenchError;

/// Flags that a part with a limit of its own does not take from the user.
const LIMITS: &[&str] = &["-n", "--requests", "--test-time"];
const WARMUP: &[&str] = &["--warmup-time"];
/// Flags that filling does not take from the user either.
const NOT_FOR_FILLING: &[&str] = &[
    "-n",
    "--requests",
    "--test-time",
    "--pipeline",
    "--rate-limiting",
    "--hdr-file-prefix",
    "--warmup-time",
];
/// Flags that say which workload, and are no part of its loads.
const CHOICE: &[&str] = &["--workload", "--disturb"];

/// The words of flags, by the quoting rules of redis-cli.
///
/// # Errors
/// When a quote does not end.
pub fn words_of(flags: &str) -> Result<Vec<String>, BenchError> {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    split_args(flags.as_bytes(), &mut bytes, &mut ranges)
        .map_err(|_| BenchError::Usage(format!("unbalanced quotes in: {flags}")))?;
    let word =
        |(start, end): (usize, usize)| String::from_utf8_lossy(&bytes[start..end]).into_owned();
    Ok(ranges.into_iter().map(word).collect())
}

/// The words of a measured row.
pub(super) fn row_words(flags: &str, user: &[String]) -> Result<Vec<String>, BenchError> {
    let own = words_of(flags)?;
    let user = without(user, CHOICE);
    let limited = |words: &[String]| words.iter().any(|word| is_one_of(word, LIMITS));
    let mut words = defaults();
    if !limited(&own) && !limited(&user) {
        words.extend(["--test-time".to_owned(), "3".to_owned()]);
    }
    let mut user = user;
    if limited(&own) {
        user = without(&user, LIMITS);
    }
    // A row that counts everything it sends can have no warm-up.
    if own.iter().any(|word| is_one_of(word, WARMUP)) {
        user = without(&user, WARMUP);
    }
    words.extend(own);
    words.extend(user);
    Ok(words)
}

/// The words of a load that fills.
pub(super) fn fill_words(flags: &str, user: &[String]) -> Result<Vec<String>, BenchError> {
    let own = without(&words_of(flags)?, NOT_FOR_FILLING);
    let user = without(&without(user, CHOICE), NOT_FOR_FILLING);
    let free = own.iter().any(|word| word == "--command");
    let mut words = defaults();
    words.extend(["-c", "8"].map(str::to_owned));
    words.extend(without(&own, &["-c"]));
    words.extend(user);
    // The flags of SET and GET would not go with free commands.
    let rest: &[&str] = if free {
        &["-n", "allkeys", "--pipeline", "32"]
    } else {
        &[
            "--ratio",
            "1:0",
            "--key-pattern",
            "P:P",
            "-n",
            "allkeys",
            "--pipeline",
            "32",
        ]
    };
    words.extend(rest.iter().map(|word| (*word).to_owned()));
    Ok(words)
}

fn defaults() -> Vec<String> {
    ["-t", "1", "--warmup-time", "0.3"]
        .map(str::to_owned)
        .into()
}

fn is_one_of(word: &str, flags: &[&str]) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    flags.contains(&name) || (flags.contains(&"-n") && is_short_with_value(word, "-n"))
}

/// `-n100`: a short flag with its value in the same word.
fn is_short_with_value(word: &str, flag: &str) -> bool {
    word.len() > flag.len() && word.starts_with(flag)
}

/// The words without some flags and their values.
fn without(words: &[String], flags: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !is_one_of(word, flags) {
            kept.push(word.clone());
        } else if flags.contains(&word.as_str()) {
            // The value is the next word.
            words.next();
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_users_flags_come_last_and_limit_the_row() {
        let user = words("--workload zipf -p 7000 --test-time 1");
        let row = row_words("-c 50 --command 'GET __key__'", &user).unwrap();
        assert_eq!(
            row,
            [
                "-t",
                "1",
                "--warmup-time",
                "0.3",
                "-c",
                "50",
                "--command",
                "GET __key__",
                "-p",
                "7000",
                "--test-time",
                "1"
            ]
        );
        let row = row_words("-c 50", &words("-p 7000")).unwrap();
        assert!(row.join(" ").contains("--test-time 3 -c 50 -p 7000"));
    }

    #[test]
    fn a_row_with_a_limit_of_its_own_keeps_it() {
        let row = row_words("-n allkeys", &words("--test-time=1 -n5 -n 6 -d 3")).unwrap();
        assert_eq!(row[4..], ["-n", "allkeys", "-d", "3"]);
    }

    #[test]
    fn filling_writes_all_keys_whatever_the_row_does() {
        let line = "-c 650 -d 8 --ratio 1:10 --rate-limiting 5";
        let fill = fill_words(line, &words("--key-maximum 99 --pipeline 1")).unwrap();
        let plan = crate::plan::Plan::of_words(fill).unwrap();
        assert_eq!(plan.limit, Some(crate::load::Limit::AllKeys));
        assert_eq!(
            (plan.connections(), plan.load.pipeline, plan.load.rate),
            (8, 32, None)
        );
        assert_eq!(plan.load.filling.keys.count(), 100);
        assert!(words_of("'a").is_err());
    }
}
