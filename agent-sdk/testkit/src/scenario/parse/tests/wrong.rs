//! Files that cannot be used, each with its one line: the cases are in `wrong.txt`.

use super::read;

const CASES: &str = include_str!("wrong.txt");

/// The whole text of a case.
fn file(part: &str, case: &str) -> String {
    let head = "start = \"2026-03-02T08:00:00Z\"\nlength = \"1h\"\n";
    let app = "app = [{ id = \"mail\" }]";
    match part {
        "file" => case.to_owned(),
        "part" => format!("{head}\n{case}"),
        "step" | "expect" => format!("{head}{app}\n{part} = [{{ {case} }}]"),
        _ => panic!("there is no part {part:?} of a file"),
    }
}

#[test]
fn every_wrong_file_is_refused_in_one_line() {
    let (_comment, blocks) = CASES.split_once("\n\n").unwrap();
    let mut cases = 0;
    for block in blocks.trim_end().split("\n\n") {
        let (part, rest) = block.split_once('\n').unwrap();
        let (case, expected) = rest.rsplit_once('\n').unwrap();
        let found = match read(&file(part, case)) {
            Ok(_) => panic!("this was taken:\n{case}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{case}");
        cases += 1;
    }
    assert_eq!(cases, 112);
}

/// A by-hand Battery Saver is judged by the readings at its time, whatever the order of the steps in the file.
#[test]
fn battery_saver_by_hand_follows_the_steps_in_time() {
    let text = |first: &str, second: &str| {
        format!(
            "start = \"2026-03-02T08:00:00Z\"\nlength = \"1h\"\n[[step]]\nat = {second:?}\nset = {{ saver_manual = true }}\n\
             [[step]]\nat = {first:?}\nset = {{ battery_saver = true }}\n"
        )
    };
    read(&text("1m", "2m")).unwrap();
    let error = read(&text("2m", "1m")).unwrap_err();
    assert_eq!(
        (error.line, error.key.as_str()),
        (5, "step[0].set.saver_manual")
    );
}

/// Whatever is cut out of a good file, it is taken or refused with a place inside of it.
#[test]
fn a_file_that_was_cut_is_taken_or_refused() {
    let example = include_str!("example.toml");
    let places: Vec<usize> = example.char_indices().map(|(at, _)| at).collect();
    for from in places.iter().step_by(7) {
        for length in [1, 9, 60] {
            let to = example.floor_char_boundary(from + length);
            let text = [&example[..*from], &example[to..]].concat();
            if let Err(error) = read(&text) {
                let line = text.split('\n').nth(error.line - 1).unwrap();
                assert!(error.column <= line.chars().count() + 1, "{error}");
            }
        }
    }
}
