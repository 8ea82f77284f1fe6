// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// A program that lets the kernel drop events which the replication filter leaves out, before they
/// take room in the event socket and wake anybody.
///
/// Classic BPF (linux/filter.h) with its netlink extension, made from the rules: what they say by
/// protocol and address, in either family. Zone, TCP state, ASSURED and mark the kernel does not
/// look at here: a rule that asks for them lets pass what it might accept. So the program drops
/// only what `ReplicationFilter.rulesMayAccept` refuses, and the listener, which filters all the
/// same, sends what it would send without it.
///
/// 1. Other messages than conntrack's, and any without the attributes, pass.
/// 2. Family, protocol number and the places of the two addresses go to scratch memory.
/// 3. Rule after rule: a criterion that fails jumps to the next rule; the first that holds decides.
struct SocketFilter {
    /// The instructions; at most `sizeLimit`.
    let program: [ctsync_bpf]
    /// BPF_MAXINSNS
    static let sizeLimit = 4_096

    /// Makes the program of these rules; nil if it could drop nothing.
    init?(_ rules: [ReplicationRule]) {
        guard let last = rules.last else { return nil }
        let canDrop = last.isAccept || rules.contains { !$0.isAccept && Self.isDecidable($0) }
        guard canDrop else { return nil }
        var writer = Writer()
        writer.prologue()
        for rule in rules {
            // It may decide so or fall through to the next: the next decides.
            if !rule.isAccept, !Self.isDecidable(rule) { continue }
            writer.rule(rule)
        }
        writer.end(passes: !last.isAccept)
        guard writer.program.count <= Self.sizeLimit else { return nil }
        program = writer.program
    }

    /// Makes the program that drops what these netlink ports have caused, and what packets change:
    /// what is left is another hand's doing, or an end.
    init(droppingCausesOf ports: [UInt32], passingTraffic: Bool = false) {
        var writer = Writer()
        writer.drop(causesOf: ports, passingTraffic: passingTraffic)
        program = writer.program
    }

    /// Whether the kernel knows all that the rule asks for.
    private static func isDecidable(_ rule: ReplicationRule) -> Bool {
        !rule.isChangeable && rule.zone == nil
    }
}

// Instruction classes, sizes, modes and operations: linux/bpf_common.h, linux/filter.h.
let BPF_LD_IMM: UInt16 = 0x00
let BPF_LD_W_ABS: UInt16 = 0x20
let BPF_LD_B_ABS: UInt16 = 0x30
let BPF_LD_W_IND: UInt16 = 0x40
let BPF_LD_B_IND: UInt16 = 0x50
let BPF_LD_MEM: UInt16 = 0x60
let BPF_LDX_IMM: UInt16 = 0x01
let BPF_LDX_MEM: UInt16 = 0x61
let BPF_ST: UInt16 = 0x02
let BPF_AND_K: UInt16 = 0x54
let BPF_JEQ_K: UInt16 = 0x15
let BPF_JA: UInt16 = 0x05
let BPF_TAX: UInt16 = 0x07
let BPF_RET_K: UInt16 = 0x06
private let SKF_AD_NLATTR: UInt32 = 0xFFFF_F000 + 12
private let SKF_AD_NLATTR_NEST: UInt32 = 0xFFFF_F000 + 16

extension SocketFilter {
    /// Writes instructions.
    private struct Writer {
        /// Scratch memory: what the prologue found.
        private enum Cell {
            static let family: UInt32 = 0
            static let protocolNumber: UInt32 = 1
            static let source: UInt32 = 2
            static let destination: UInt32 = 3
            static let tuple: UInt32 = 4
            static let addresses: UInt32 = 5
        }

        private(set) var program: [ctsync_bpf] = []
        /// Jumps whose target is the next rule.
        private var pending: [Int] = []

        private mutating func add(
            _ code: UInt16, _ k: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0
        ) {
            program.append(ctsync_bpf(code: code, jt: ifTrue, jf: ifFalse, k: k))
        }

        private mutating func pass() { add(BPF_RET_K, UInt32.max) }

        /// Passes the message if the accumulator is 0: an attribute was not found.
        private mutating func passUnlessFound() {
            add(BPF_JEQ_K, 0, ifTrue: 0, ifFalse: 1)
            pass()
        }

        /// The accumulator becomes the place of an attribute within the nest it points to.
        private mutating func find(_ attribute: UInt16, within extension: UInt32) {
            add(BPF_LDX_IMM, UInt32(attribute))
            add(BPF_LD_W_ABS, `extension`)
            passUnlessFound()
        }

        mutating func prologue() {
            // nlmsg_type in host order: its high byte is the subsystem.
            let subsystemOffset: UInt32 = UInt16(1).littleEndian == 1 ? 5 : 4
            add(BPF_LD_B_ABS, subsystemOffset)
            add(BPF_JEQ_K, UInt32(NFNL_SUBSYS_CTNETLINK), ifTrue: 1, ifFalse: 0)
            pass()
            add(BPF_LD_B_ABS, UInt32(NLMSG_HDRLEN))
            add(BPF_ST, Cell.family)
            add(BPF_LD_IMM, UInt32(NLMSG_HDRLEN + NFGENMSG_LENGTH))
            find(CTA_TUPLE_ORIG, within: SKF_AD_NLATTR)
            add(BPF_ST, Cell.tuple)
            find(CTA_TUPLE_PROTO, within: SKF_AD_NLATTR_NEST)
            find(CTA_PROTO_NUM, within: SKF_AD_NLATTR_NEST)
            loadFound(byte: true)
            add(BPF_ST, Cell.protocolNumber)
            add(BPF_LD_MEM, Cell.tuple)
            find(CTA_TUPLE_IP, within: SKF_AD_NLATTR_NEST)
            add(BPF_ST, Cell.addresses)
            findAddress(CTA_IP_V4_SRC, CTA_IP_V6_SRC, Cell.source)
            findAddress(CTA_IP_V4_DST, CTA_IP_V6_DST, Cell.destination)
        }

        /// The accumulator becomes the value of the attribute it points to.
        private mutating func loadFound(byte: Bool) {
            add(BPF_TAX, 0)
            add(byte ? BPF_LD_B_IND : BPF_LD_W_IND, UInt32(NLA_HDRLEN))
        }

        private mutating func findAddress(_ ipv4: UInt16, _ ipv6: UInt16, _ cell: UInt32) {
            add(BPF_LD_MEM, Cell.family)
            add(BPF_JEQ_K, UInt32(Family.ipv4.rawValue), ifTrue: 0, ifFalse: 2)
            add(BPF_LDX_IMM, UInt32(ipv4))
            add(BPF_JA, 1)
            add(BPF_LDX_IMM, UInt32(ipv6))
            add(BPF_LD_MEM, Cell.addresses)
            add(BPF_LD_W_ABS, SKF_AD_NLATTR_NEST)
            passUnlessFound()
            add(BPF_ST, cell)
        }

        mutating func drop(causesOf ports: [UInt32], passingTraffic: Bool) {
            // nlmsg_pid in host order, which BPF loads as if it were the network's.
            add(BPF_LD_W_ABS, 12)
            for port in ports {
                add(BPF_JEQ_K, port.bigEndian, ifTrue: 0, ifFalse: 1)
                add(BPF_RET_K, 0)
            }
            guard !passingTraffic else { return pass() }
            add(BPF_JEQ_K, 0, ifTrue: 1, ifFalse: 0)
            pass()
            // The low byte of nlmsg_type: 0 is IPCTNL_MSG_CT_NEW, which a change has too.
            let kindOffset: UInt32 = UInt16(1).littleEndian == 1 ? 4 : 5
            add(BPF_LD_B_ABS, kindOffset)
            add(BPF_JEQ_K, 0, ifTrue: 0, ifFalse: 1)
            add(BPF_RET_K, 0)
            pass()
        }

        mutating func rule(_ rule: ReplicationRule) {
            if let number = rule.protocolNumber {
                add(BPF_LD_MEM, Cell.protocolNumber)
                mustEqual(UInt32(number))
            }
            if let source = rule.source { network(source, Cell.source) }
            if let destination = rule.destination { network(destination, Cell.destination) }
            add(BPF_RET_K, rule.isAccept ? UInt32.max : 0)
            for jump in pending { program[jump].jf = UInt8(program.count - jump - 1) }
            pending = []
        }

        mutating func end(passes: Bool) {
            add(BPF_RET_K, passes ? UInt32.max : 0)
        }

        /// Goes on if the accumulator has this value, else to the next rule.
        private mutating func mustEqual(_ value: UInt32) {
            pending.append(program.count)
            add(BPF_JEQ_K, value)
        }

        private mutating func network(_ network: ReplicationFilter.Network, _ cell: UInt32) {
            add(BPF_LD_MEM, Cell.family)
            mustEqual(UInt32(network.family.rawValue))
            let address = network.address
            let words =
                network.family == .ipv4
                ? [address.low]
                : [address.high >> 32, address.high, address.low >> 32, address.low]
            var bits = network.prefixLength
            for (index, word) in words.enumerated() where bits > 0 {
                let mask = bits >= 32 ? UInt32.max : ~(UInt32.max >> UInt32(bits))
                add(BPF_LDX_MEM, cell)
                add(BPF_LD_W_IND, UInt32(NLA_HDRLEN + 4 * index))
                if mask != .max { add(BPF_AND_K, mask) }
                mustEqual(UInt32(truncatingIfNeeded: word) & mask)
                bits -= 32
            }
        }
    }
}
