//! Programs for the kernel's cgroup hooks: the network of a cage, cut, closed in part, or counted. Assembled here, checked by the
//! kernel's verifier when they are loaded, and gone with the descriptor of their link.
//!
//! Deliberately absent: tail calls, helpers, and any map but the one number of a count.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::sys;

/// One instruction, as the kernel reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// `BPF_PROG_TYPE_…` and `BPF_CGROUP_…` of linux/bpf.h.
const CGROUP_SKB: u32 = 8;
const CGROUP_SOCKOPT: u32 = 25;
const INET_INGRESS: u32 = 0;
const INET_EGRESS: u32 = 1;
const SETSOCKOPT: u32 = 22;

/// Offset of `len` in `struct __sk_buff`.
const SKB_LEN: i16 = 0;
/// Offset of `ifindex` in `struct __sk_buff`.
const SKB_IFINDEX: i16 = 40;
/// Offsets in `struct bpf_sockopt`.
const OPTVAL: i16 = 8;
const OPTVAL_END: i16 = 16;
const LEVEL: i16 = 24;
const OPTNAME: i16 = 28;

const SOL_SOCKET: i32 = libc::SOL_SOCKET;
const BIND_TO_DEVICE: i32 = libc::SO_BINDTODEVICE;
/// `SO_BINDTOIFINDEX`.
const BIND_TO_INDEX: i32 = 62;

/// The loopback device has this index in every network namespace.
const LOOPBACK: i32 = 1;

/// A network device that a cage may not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) name: String,
    pub(crate) index: i32,
}

/// Programs attached to a cage; they stop with this.
#[derive(Debug)]
pub(crate) struct Attached {
    #[expect(dead_code, reason = "held for as long as they are to work")]
    links: Vec<OwnedFd>,
}

/// Cuts a cage (a folder of the v2 tree) off every network but the loopback.
pub(crate) fn cut(cage: BorrowedFd<'_>) -> io::Result<Attached> {
    let program = only_loopback();
    let out = attach(cage, CGROUP_SKB, INET_EGRESS, &program)?;
    let into = attach(cage, CGROUP_SKB, INET_INGRESS, &program)?;
    Ok(Attached {
        links: vec![out, into],
    })
}

/// Closes some devices to a cage: to bind a socket to one fails, and nothing goes out by one.
pub(crate) fn close(cage: BorrowedFd<'_>, devices: &[Closed]) -> io::Result<Attached> {
    let out = attach(cage, CGROUP_SKB, INET_EGRESS, &not_by(devices))?;
    let bind = attach(cage, CGROUP_SOCKOPT, SETSOCKOPT, &no_binding_to(devices))?;
    Ok(Attached {
        links: vec![out, bind],
    })
}

/// The bytes of a cage, counted for as long as this is held.
#[derive(Debug)]
pub(crate) struct Counter {
    map: OwnedFd,
    #[expect(dead_code, reason = "held for as long as it is to count")]
    attached: Attached,
}

impl Counter {
    /// Bytes of packets since it was attached, with their network headers, in both directions, the loopback's excepted.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        sys::map_number(&self.map)
    }
}

/// Counts the bytes of a cage from now on.
pub(crate) fn count(cage: BorrowedFd<'_>) -> io::Result<Counter> {
    let map = sys::number_map()?;
    let program = add_lengths(map.as_raw_fd());
    let out = attach(cage, CGROUP_SKB, INET_EGRESS, &program)?;
    let into = attach(cage, CGROUP_SKB, INET_INGRESS, &program)?;
    let attached = Attached {
        links: vec![out, into],
    };
    Ok(Counter { map, attached })
}

fn attach(
    cage: BorrowedFd<'_>,
    kind: u32,
    hook: u32,
    program: &[Instruction],
) -> io::Result<OwnedFd> {
    let program = sys::load_program(kind, hook, program)?;
    sys::link_program(&program, cage.as_raw_fd(), hook)
}

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

/// `to = number`
const fn set(to: u8, number: i32) -> Instruction {
    instruction(0xB7, to, 0, 0, number)
}
/// `to = from`
const fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xBF, to, from, 0, 0)
}
/// `to += number`
const fn add(to: u8, number: i32) -> Instruction {
    instruction(0x07, to, 0, 0, number)
}
/// `to = *(u32 *)(from + offset)`
const fn load_word(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x61, to, from, offset, 0)
}
/// `to = *(u64 *)(from + offset)`
const fn load_pointer(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x79, to, from, offset, 0)
}
/// `to = *(u8 *)(from + offset)`
const fn load_byte(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x71, to, from, offset, 0)
}
/// `to = &map's first value`, in two instructions.
const fn load_map_value(to: u8, map: i32) -> [Instruction; 2] {
    /// `BPF_PSEUDO_MAP_VALUE`.
    const MAP_VALUE: u8 = 2;
    [
        instruction(0x18, to, MAP_VALUE, 0, map),
        instruction(0, 0, 0, 0, 0),
    ]
}
/// `*(u64 *)at += from`, by one processor at a time
const fn add_atomically(at: u8, from: u8) -> Instruction {
    instruction(0xDB, at, from, 0, 0)
}
const fn exit() -> Instruction {
    instruction(0x95, 0, 0, 0, 0)
}

/// A condition of a jump.
#[derive(Debug, Clone, Copy)]
enum If {
    /// `register == number`
    Is(u8, i32),
    /// `register != number`
    IsNot(u8, i32),
    /// `register > other`
    Above(u8, u8),
}

/// A place to jump to, known when the program is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// A program under construction.
#[derive(Debug, Default)]
struct Assembly {
    code: Vec<Instruction>,
    /// Jumps whose offset is not known yet.
    jumps: Vec<(usize, Label)>,
    places: Vec<Option<usize>>,
}

impl Assembly {
    fn put(&mut self, instructions: &[Instruction]) {
        self.code.extend_from_slice(instructions);
    }

    fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    fn here(&mut self, label: Label) {
        if let Some(place) = self.places.get_mut(label.0) {
            *place = Some(self.code.len());
        }
    }

    fn jump(&mut self, when: If, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.code.push(match when {
            If::Is(register, number) => instruction(0x15, register, 0, 0, number),
            If::IsNot(register, number) => instruction(0x55, register, 0, 0, number),
            If::Above(register, other) => instruction(0x2D, register, other, 0, 0),
        });
    }

    /// Every label was placed, after the jumps to it: the verifier refuses a program that is wrong.
    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let place = self.places.get(label.0).copied().flatten().unwrap_or(at);
            let offset = i16::try_from(place.saturating_sub(at + 1)).unwrap_or(i16::MAX);
            if let Some(jump) = self.code.get_mut(at) {
                jump.offset = offset;
            }
        }
        self.code
    }
}

/// Lets a packet pass by the loopback only.
fn only_loopback() -> Vec<Instruction> {
    let mut program = Assembly::default();
    let pass = program.label();
    program.put(&[load_word(2, 1, SKB_IFINDEX), set(0, 1)]);
    program.jump(If::Is(2, LOOPBACK), pass);
    program.put(&[set(0, 0)]);
    program.here(pass);
    program.put(&[exit()]);
    program.finish()
}

/// Lets every packet pass, and adds its length to the map's number unless it goes by the loopback.
fn add_lengths(map: i32) -> Vec<Instruction> {
    let mut program = Assembly::default();
    let pass = program.label();
    program.put(&[load_word(2, 1, SKB_IFINDEX)]);
    program.jump(If::Is(2, LOOPBACK), pass);
    program.put(&[load_word(3, 1, SKB_LEN)]);
    program.put(&load_map_value(4, map));
    program.put(&[add_atomically(4, 3)]);
    program.here(pass);
    program.put(&[set(0, 1), exit()]);
    program.finish()
}

/// Lets a packet pass by every device but these.
fn not_by(devices: &[Closed]) -> Vec<Instruction> {
    let mut program = Assembly::default();
    let refuse = program.label();
    program.put(&[load_word(2, 1, SKB_IFINDEX)]);
    for device in devices {
        program.jump(If::Is(2, device.index), refuse);
    }
    program.put(&[set(0, 1), exit()]);
    program.here(refuse);
    program.put(&[set(0, 0), exit()]);
    program.finish()
}

/// Refuses (`EPERM`) to bind a socket to one of these devices, by name or by index.
fn no_binding_to(devices: &[Closed]) -> Vec<Instruction> {
    let mut program = Assembly::default();
    let (allow, refuse) = (program.label(), program.label());
    let (by_name, by_index) = (program.label(), program.label());
    program.put(&[copy(6, 1), load_word(2, 6, LEVEL)]);
    program.jump(If::IsNot(2, SOL_SOCKET), allow);
    program.put(&[
        load_word(2, 6, OPTNAME),
        load_pointer(3, 6, OPTVAL),
        load_pointer(4, 6, OPTVAL_END),
    ]);
    program.jump(If::Is(2, BIND_TO_DEVICE), by_name);
    program.jump(If::IsNot(2, BIND_TO_INDEX), allow);
    program.here(by_index);
    program.put(&[copy(5, 3), add(5, 4)]);
    program.jump(If::Above(5, 4), allow);
    program.put(&[load_word(2, 3, 0)]);
    for device in devices {
        program.jump(If::Is(2, device.index), refuse);
    }
    program.put(&[set(0, 1), exit()]);
    program.here(by_name);
    for device in devices {
        is_named(&mut program, &device.name, refuse);
    }
    program.here(allow);
    program.put(&[set(0, 1), exit()]);
    program.here(refuse);
    program.put(&[set(0, 0), exit()]);
    program.finish()
}

/// Jumps if the text from register 3 to register 4 is this name, with or without its end.
fn is_named(program: &mut Assembly, name: &str, found: Label) {
    let other = program.label();
    let length = i32::try_from(name.len()).unwrap_or(0);
    program.put(&[copy(5, 3), add(5, length)]);
    program.jump(If::Above(5, 4), other);
    for (offset, byte) in name.bytes().enumerate() {
        let offset = i16::try_from(offset).unwrap_or(i16::MAX);
        program.put(&[load_byte(2, 3, offset)]);
        program.jump(If::IsNot(2, byte.into()), other);
    }
    program.put(&[add(5, 1)]);
    program.jump(If::Above(5, 4), found);
    let end = i16::try_from(name.len()).unwrap_or(i16::MAX);
    program.put(&[load_byte(2, 3, end)]);
    program.jump(If::Is(2, 0), found);
    program.here(other);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_to_their_labels() {
        let device = |name: &str, index| Closed {
            name: name.to_owned(),
            index,
        };
        let program = not_by(&[device("wwan0", 7), device("wwan1", 9)]);
        // load; two jumps to the refusal; pass; exit; the refusal.
        assert_eq!(program[1], instruction(0x15, 2, 0, 3, 7));
        assert_eq!(program[2], instruction(0x15, 2, 0, 2, 9));
        assert_eq!(program[5], set(0, 0));
        assert_eq!(program.len(), 7);
    }
}
