//! What an agent may do and what not, by real agents that try. A denied operation fails, and the run goes on.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lull_launcher::sandbox::{Grant, Sandbox, own_programs, refuse_read, refuse_write};
use lull_launcher::wire::Launch;
use tempfile::TempDir;

use crate::drill::{Drill, End, UID, shell, status};

/// Makes a system call from Python and says how it ended: "0", or the name of its error.
const CALL: &str = "\
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    done = libc.syscall(ctypes.c_long(number), *[a if isinstance(a, bytes) else ctypes.c_long(a) for a in args])
    print(name, 'done' if done >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
";

/// A folder that belongs to the agents' user.
fn own_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(UID), Some(UID)).unwrap();
    folder
}

/// A launch in a sandbox with a folder of its own.
fn inside(mut launch: Launch, own: &TempDir, grants: &[Grant]) -> Launch {
    let folder = own.path().to_str().unwrap().to_owned();
    launch.sandbox = Some(Sandbox {
        grants: grants.iter().copied().collect(),
        writes: vec![folder.clone()],
        ..Sandbox::default()
    });
    launch.folder = folder;
    launch
}

fn python(run: u64, script: &str) -> Launch {
    let mut launch = shell(run, "");
    launch.program = "/usr/bin/python3".to_owned();
    launch.args = vec!["-c".to_owned(), format!("{CALL}{script}")];
    launch
}

fn said(end: &End) -> Vec<&str> {
    assert_eq!(end.exit, status(0), "{}", end.output);
    end.output.lines().collect()
}

#[test]
fn this_machine_enforces_the_whole_sandbox() {
    let drill = Drill::new();
    let said = drill.greeting.cannot_enforce.join("\n");
    for limit in ["system calls", "own files", "truncating", "abstract"] {
        assert!(!said.contains(limit), "{said}");
    }
}

/// `CLONE_NEWUSER`, and a child that says when it ends.
const NEW_USER: i64 = libc::CLONE_NEWUSER as i64;
const NEW_USERS_CHILD: i64 = NEW_USER + libc::SIGCHLD as i64;

/// A name, the call, and arguments that would be taken, or be refused for another reason.
type Call = (&'static str, i64, &'static [i64]);

/// Calls that no agent may make.
const REFUSED: &[Call] = &[
    ("mount", libc::SYS_mount, &[0, 0, 0, 0, 0]),
    ("umount2", libc::SYS_umount2, &[0, 0]),
    ("pivot_root", libc::SYS_pivot_root, &[0, 0]),
    ("chroot", libc::SYS_chroot, &[0]),
    ("open_tree", 428, &[-100, 0, 0]),
    ("fsopen", libc::SYS_fsopen, &[0, 0]),
    ("ptrace", libc::SYS_ptrace, &[0, 0, 0, 0]),
    ("bpf", libc::SYS_bpf, &[0, 0, 0]),
    (
        "perf_event_open",
        libc::SYS_perf_event_open,
        &[0, 0, -1, -1, 0],
    ),
    ("kexec_load", libc::SYS_kexec_load, &[0, 0, 0, 0]),
    ("init_module", libc::SYS_init_module, &[0, 0, 0]),
    ("finit_module", libc::SYS_finit_module, &[0, 0, 0]),
    ("delete_module", libc::SYS_delete_module, &[0, 0]),
    ("reboot", libc::SYS_reboot, &[0, 0, 0, 0]),
    ("swapon", libc::SYS_swapon, &[0, 0]),
    ("setns", libc::SYS_setns, &[0, 0]),
    ("unshare", libc::SYS_unshare, &[NEW_USER]),
    ("unshare time", libc::SYS_unshare, &[0x80]),
    ("clone", libc::SYS_clone, &[NEW_USERS_CHILD, 0, 0, 0, 0]),
    ("keyctl", libc::SYS_keyctl, &[0, -3, 0]),
    ("add_key", libc::SYS_add_key, &[0, 0, 0, 0, 0]),
    ("clock_settime", libc::SYS_clock_settime, &[0, 0]),
    ("settimeofday", libc::SYS_settimeofday, &[0, 0]),
    ("adjtimex", libc::SYS_adjtimex, &[0]),
    ("io_uring_setup", libc::SYS_io_uring_setup, &[1, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, &[1]),
    (
        "process_vm_readv",
        libc::SYS_process_vm_readv,
        &[1, 0, 0, 0, 0, 0],
    ),
    (
        "process_vm_writev",
        libc::SYS_process_vm_writev,
        &[1, 0, 0, 0, 0, 0],
    ),
    (
        "open_by_handle_at",
        libc::SYS_open_by_handle_at,
        &[-100, 0, 0],
    ),
    ("personality", libc::SYS_personality, &[0x0004_0000]),
    ("TIOCSTI", libc::SYS_ioctl, &[0, 0x5412, 0]),
    ("shmget", libc::SYS_shmget, &[0, 4_096, 0o1600]),
    ("mq_open", libc::SYS_mq_open, &[0, 0, 0, 0]),
    ("packet socket", libc::SYS_socket, &[17, 2, 0]),
    ("vsock", libc::SYS_socket, &[40, 1, 0]),
    ("bluetooth", libc::SYS_socket, &[31, 1, 3]),
    ("alg socket", libc::SYS_socket, &[38, 5, 0]),
    ("uevents", libc::SYS_socket, &[16, 2, 15]),
];

#[test]
fn what_no_agent_may_do_is_refused_and_the_run_goes_on() {
    let mut script = String::new();
    for (name, number, arguments) in REFUSED {
        write!(script, "call({name:?}, {number}").unwrap();
        for argument in *arguments {
            write!(script, ", {argument}").unwrap();
        }
        script.push_str(")\n");
    }
    script.push_str("print('the run goes on')");
    let own = own_folder();
    let drill = Drill::new();
    let end = drill.complete(inside(python(1, &script), &own, &[Grant::Internet]));
    let mut expected: Vec<String> = REFUSED
        .iter()
        .map(|(name, ..)| format!("{name} EPERM"))
        .collect();
    expected.push("the run goes on".to_owned());
    assert_eq!(said(&end), expected);
}

#[test]
fn calls_that_nobody_knows_do_not_exist() {
    // Runtimes use `clone` where there is no `clone3`. The last one is a call of the x32 kind: another way to each of the calls.
    let mut calls = vec![("clone3", libc::SYS_clone3), ("newer", 1_000)];
    if cfg!(target_arch = "x86_64") {
        calls.push(("x32", 0x4000_0000 + 521));
    }
    let lines = calls
        .iter()
        .map(|(name, number)| format!("call({name:?}, {number}, 0, 0)\n"));
    let own = own_folder();
    let drill = Drill::new();
    let end = drill.complete(inside(python(1, &lines.collect::<String>()), &own, &[]));
    let expected: Vec<String> = calls
        .iter()
        .map(|(name, _)| format!("{name} ENOSYS"))
        .collect();
    assert_eq!(said(&end), expected);
}

#[test]
fn without_the_internet_there_are_local_sockets_only() {
    let script = "\
import socket
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
    try:
        socket.socket(family, socket.SOCK_DGRAM)
        print(family.name, 'open')
    except OSError as error:
        print(family.name, errno.errorcode[error.errno])
socket.socketpair()
";
    let own = own_folder();
    let drill = Drill::new();
    let end = drill.complete(inside(python(1, script), &own, &[]));
    assert_eq!(
        said(&end),
        [
            "AF_UNIX open",
            "AF_INET EPERM",
            "AF_INET6 EPERM",
            "AF_NETLINK EPERM"
        ]
    );
    let end = drill.complete(inside(python(2, script), &own, &[Grant::Internet]));
    assert_eq!(
        said(&end),
        [
            "AF_UNIX open",
            "AF_INET open",
            "AF_INET6 open",
            "AF_NETLINK open"
        ]
    );
}

#[test]
fn an_agent_of_an_ordinary_runtime_finds_what_it_needs() {
    let script = "\
import os, socket, ssl, subprocess, tempfile, threading, time
print(sorted({a[4][0] for a in socket.getaddrinfo('localhost', 80, socket.AF_INET)}))
server = socket.create_server(('127.0.0.1', 0))
socket.create_connection(server.getsockname()).close()
print('roots', len(ssl.create_default_context().get_ca_certs()) > 0 or not os.path.exists('/etc/ssl/certs/ca-certificates.crt'))
threads = [threading.Thread(target=time.sleep, args=(0.001,)) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(subprocess.run(['/bin/sh', '-c', 'echo a child of $0'], capture_output=True, text=True).stdout.strip())
open('kept', 'w').write('state')
os.mkdir('inner'); os.rename('kept', 'inner/kept'); os.symlink('kept', 'inner/link'); os.mkfifo('pipe')
print(open('inner/link').read())
socket.socket(socket.AF_UNIX).bind('socket')
for device in ('null', 'zero', 'full', 'random', 'urandom'):
    open('/dev/' + device, 'rb').read(0)
open('/dev/null', 'w').write('gone')
print(len(os.sched_getaffinity(0)) > 0, os.cpu_count() > 0, 'self' in os.listdir('/proc'))
print(open('/proc/self/comm').read().strip(), time.tzname[0] != '')
print('resolv', os.access('/etc/resolv.conf', os.R_OK) == bool(open('/etc/resolv.conf').read() or True))
";
    let own = own_folder();
    let drill = Drill::new();
    let end = drill.complete(inside(python(1, script), &own, &[Grant::Internet]));
    assert_eq!(
        said(&end),
        [
            "['127.0.0.1']",
            "roots True",
            "a child of /bin/sh",
            "state",
            "True True True",
            "python3 True",
            "resolv True",
        ]
    );
    assert!(own.path().join("inner/kept").exists());
}

/// Every path here is open to this user by its mode, so that only the sandbox can refuse it.
#[test]
fn an_agent_reaches_its_own_files_and_no_others() {
    let (own, other) = (own_folder(), own_folder());
    let other = other.path().display();
    let script = format!(
        "try() {{ if ( eval \"$2\" ) 2>/dev/null >&2; then echo $1 allowed; else echo $1 refused; fi; }}\n\
         try own 'echo x >file; cat file; rm file'\n\
         try program 'cp /bin/true here; chmod +x here; ./here'\n\
         try others-write 'echo x >{other}/file'\n\
         try others-list 'ls {other}'\n\
         try tmp 'echo x >/tmp/lull-$$'\n\
         try shared-memory 'echo x >/dev/shm/lull-$$'\n\
         try node-list 'ls /dev'\n\
         try terminal ': </dev/ptmx'\n\
         try sensors 'ls /sys/class'\n\
         try run 'ls /run'\n\
         try home 'ls /home'\n\
         try var 'ls /var'\n\
         try fuse ': <>/dev/fuse'\n\
         try tun ': <>/dev/net/tun'\n\
         try system-write 'echo x >/usr/x'\n\
         try system 'cat /etc/passwd; ls /usr/bin'\n\
         try null 'echo x >/dev/null'\n\
         try signal 'kill -0 {}'\n",
        std::process::id()
    );
    let drill = Drill::new();
    let end = drill.complete(inside(shell(1, &script), &own, &[Grant::Internet]));
    let allowed: Vec<&str> = said(&end)
        .into_iter()
        .filter_map(|line| line.strip_suffix(" allowed"))
        .collect();
    assert_eq!(allowed, ["own", "system", "null"], "{}", end.output);
    assert_eq!(end.output.lines().count(), 18);
}

#[test]
fn what_is_declared_is_read_and_what_is_declared_is_written() {
    let (own, read, write) = (own_folder(), own_folder(), own_folder());
    let script = format!(
        "cat {r}/in && ! (echo x >{r}/in) 2>/dev/null && echo x >{w}/out && cat {w}/out",
        r = read.path().display(),
        w = write.path().display()
    );
    std::fs::write(read.path().join("in"), "told\n").unwrap();
    std::os::unix::fs::chown(read.path().join("in"), Some(UID), Some(UID)).unwrap();
    let mut launch = inside(shell(1, &script), &own, &[]);
    if let Some(sandbox) = &mut launch.sandbox {
        sandbox.reads = vec![
            read.path().to_str().unwrap().to_owned(),
            "/not/there".to_owned(),
        ];
        sandbox
            .writes
            .push(write.path().to_str().unwrap().to_owned());
    }
    let end = Drill::new().complete(launch);
    assert_eq!(said(&end), ["told", "x"]);
}

#[test]
fn a_device_is_had_by_the_run_that_was_started_for_it() {
    let own = own_folder();
    let script = "head -c 0 /dev/ptmx && echo had";
    let drill = Drill::new();
    let end = drill.complete(inside(shell(1, script), &own, &[]));
    assert!(end.output.contains("Permission denied"), "{end:?}");
    let mut launch = inside(shell(2, script), &own, &[]);
    if let Some(sandbox) = &mut launch.sandbox {
        // The second one is no node, and grants nothing.
        sandbox.devices = vec!["/dev/ptmx".to_owned(), "/dev/../tmp".to_owned()];
    }
    let end = drill.complete(launch);
    assert_eq!(said(&end), ["had"]);
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_finds_its_interpreter_and_what_lies_beside_it() {
    let (own, apps) = (own_folder(), own_folder());
    let prefix = apps.path().join("photos");
    for folder in ["bin", "lib", "private"] {
        std::fs::create_dir_all(prefix.join(folder)).unwrap();
    }
    std::os::unix::fs::symlink("/bin/sh", prefix.join("bin/interpreter")).unwrap();
    std::fs::write(prefix.join("lib/part"), "echo loaded").unwrap();
    std::fs::write(prefix.join("private/part"), "echo never").unwrap();
    let p = prefix.display();
    let script = format!(
        "#!{p}/bin/interpreter\n. {p}/lib/part\ncat {p}/private/part 2>/dev/null || echo refused\n"
    );
    executable(&prefix.join("bin/agent"), &script);
    let drill = Drill::new();
    let mut launch = inside(shell(1, ""), &own, &[]);
    launch.program = prefix.join("bin/agent").to_str().unwrap().to_owned();
    launch.args.clear();
    assert_eq!(said(&drill.complete(launch)), ["loaded", "refused"]);
    // A script that an interpreter of the system is given reads what lies beside it.
    std::fs::write(prefix.join("lib/module.py"), "print('imported')").unwrap();
    std::fs::write(prefix.join("lib/agent.py"), "import module").unwrap();
    let mut launch = inside(python(2, ""), &own, &[]);
    launch.args = vec![prefix.join("lib/agent.py").to_str().unwrap().to_owned()];
    assert_eq!(said(&drill.complete(launch)), ["imported"]);
}

#[test]
fn an_order_without_a_sandbox_has_the_usual_one() {
    let own = own_folder();
    let mut launch = shell(1, "echo x >file && ! ls /tmp 2>/dev/null && echo usual");
    launch.folder = own.path().to_str().unwrap().to_owned();
    assert_eq!(launch.sandbox, None);
    assert_eq!(said(&Drill::new().complete(launch)), ["usual"]);
}

#[test]
fn an_agent_has_the_bounds_of_its_processes() {
    let own = own_folder();
    let drill = Drill::new();
    let end = drill.complete(inside(
        shell(1, "grep -E 'core|realtime priority|nice|msgqueue|open files' /proc/self/limits; grep Seccomp: /proc/self/status"),
        &own,
        &[],
    ));
    let lines: Vec<Vec<&str>> = said(&end)
        .into_iter()
        .map(|line| {
            line.split_whitespace()
                .filter(|word| word.chars().all(|c| c.is_ascii_digit()))
                .collect()
        })
        .collect();
    let zero = vec!["0", "0"];
    assert_eq!(
        lines,
        [
            zero.clone(),
            vec!["256", "256"],
            zero.clone(),
            zero.clone(),
            zero,
            vec!["2"]
        ],
        "{}",
        end.output
    );
}

#[test]
fn a_script_finds_its_descriptors_by_name() {
    let own = own_folder();
    let script =
        "echo out >/dev/stdout; echo err >/dev/stderr; echo three >/dev/fd/1; cat /dev/stdin";
    let end = Drill::new().complete(inside(shell(1, script), &own, &[]));
    assert_eq!(said(&end), ["out", "err", "three"]);
}

#[test]
fn a_command_names_what_is_read_with_it() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["/opt/photos/sync"], &["/opt/photos"]),
        (
            &["/opt/photos/bin/sync"],
            &[
                "/opt/photos/bin",
                "/opt/photos/lib",
                "/opt/photos/lib64",
                "/opt/photos/libexec",
                "/opt/photos/pyvenv.cfg",
                "/opt/photos/share",
            ],
        ),
        (
            &["/usr/bin/env", "python3", "/srv/app/a.py"],
            &["/srv/app", "/usr/bin"],
        ),
        // A file directly below a folder of the system's own is granted alone.
        (
            &["/opt/sync", "/home/notes", "--at=/srv/app/x"],
            &["/home/notes", "/opt/sync"],
        ),
        (
            &[
                "/usr/bin/cat",
                "/dev/video0",
                "/proc/1/environ",
                "/run/x/y",
                "/srv/../etc/x",
            ],
            &["/usr/bin"],
        ),
    ];
    for (command, expected) in cases {
        let args: Vec<String> = command[1..].iter().map(ToString::to_string).collect();
        let mut found = own_programs(command[0], &args);
        // The prefix of the system's own programs is no app's.
        found.retain(|path| !path.starts_with("/usr") || path == Path::new("/usr/bin"));
        let expected: Vec<&Path> = expected.iter().map(Path::new).collect();
        assert_eq!(found, expected, "{command:?}");
    }
}

#[test]
fn what_nobody_may_declare_is_refused() {
    for path in [
        "/",
        "srv",
        "/srv/../etc",
        "/dev/video0",
        "/dev",
        "/sys/class",
        "/proc/1",
        "/run/user",
    ] {
        assert!(
            refuse_read(path).is_some() && refuse_write(path).is_some(),
            "{path}"
        );
    }
    for path in ["/etc", "/usr/share/x", "/var", "/root/x", "/boot"] {
        assert!(
            refuse_read(path).is_none() && refuse_write(path).is_some(),
            "{path}"
        );
    }
    for path in [
        "/srv/photos",
        "/data",
        "/var/lib/photos",
        "/home/alice/pictures",
    ] {
        assert_eq!(
            (refuse_read(path), refuse_write(path)),
            (None, None),
            "{path}"
        );
    }
}

#[test]
fn an_agent_stays_in_its_class() {
    let script = "\
try:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    print('risen')
except PermissionError:
    print(os.sched_getscheduler(0) == os.SCHED_IDLE)
";
    let own = own_folder();
    let end = Drill::new().complete(inside(python(1, script), &own, &[]));
    assert_eq!(said(&end), ["True"]);
}
