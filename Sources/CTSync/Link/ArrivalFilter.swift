// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// The program by which the kernel lets a sync socket hear its own link only: packets that no
/// router has forwarded (RFC 5082) and, with peers, none of anybody else.
///
/// Classic BPF. IP_MINTTL and IPV6_MINHOPCOUNT would not do: Linux heeds them for TCP alone. What
/// the program drops is counted among the socket's drops and never copied.
struct ArrivalFilter {
    /// The hop limit of a packet that comes from the link itself.
    static let hopLimit: UInt32 = 255
    /// The most peers that fit.
    static let peerLimit = 256

    /// The instructions.
    private(set) var program: [ctsync_bpf] = []

    /// The first byte of the network header (SKF_NET_OFF of linux/filter.h).
    private static let network: UInt32 = 0xFFF0_0000

    /// Makes the program.
    ///
    /// - Parameter peers: who is heard, at most `peerLimit`; empty for everybody on the link.
    init(peers: [HostAddress]) {
        precondition(peers.count <= Self.peerLimit)
        add(BPF_LD_B_ABS, Self.network)
        add(BPF_AND_K, 0xF0)
        add(BPF_JEQ_K, 0x60, ifTrue: 0, ifFalse: 1)
        let jump = program.count
        add(BPF_JA, 0)
        passOnly(if: 0x40)
        passOnly(hopLimitAt: 8)
        addIPv4(peers)
        program[jump].k = UInt32(program.count - jump - 1)
        passOnly(hopLimitAt: 7)
        addIPv6(peers)
    }

    private mutating func addIPv4(_ peers: [HostAddress]) {
        guard !peers.isEmpty else { return end(passes: true) }
        add(BPF_LD_W_ABS, Self.network + 12)
        for peer in peers where peer.family == .ipv4 {
            add(BPF_JEQ_K, UInt32(truncatingIfNeeded: peer.address.low), ifTrue: 0, ifFalse: 1)
            end(passes: true)
        }
        end(passes: false)
    }

    private mutating func addIPv6(_ peers: [HostAddress]) {
        guard !peers.isEmpty else { return end(passes: true) }
        for peer in peers where peer.family == .ipv6 {
            let words = [
                peer.address.high >> 32, peer.address.high, peer.address.low >> 32,
                peer.address.low,
            ]
            for (number, word) in words.enumerated() {
                add(BPF_LD_W_ABS, Self.network + 8 + UInt32(4 * number))
                // Past the words that are left, two instructions each, and the end.
                add(
                    BPF_JEQ_K, UInt32(truncatingIfNeeded: word), ifTrue: 0,
                    ifFalse: UInt8(2 * (3 - number) + 1))
            }
            end(passes: true)
        }
        end(passes: false)
    }

    /// Drops the packet unless the accumulator is this.
    private mutating func passOnly(if value: UInt32) {
        add(BPF_JEQ_K, value, ifTrue: 1, ifFalse: 0)
        end(passes: false)
    }

    private mutating func passOnly(hopLimitAt offset: UInt32) {
        add(BPF_LD_B_ABS, Self.network + offset)
        passOnly(if: Self.hopLimit)
    }

    private mutating func end(passes: Bool) {
        add(BPF_RET_K, passes ? UInt32.max : 0)
    }

    private mutating func add(
        _ code: UInt16, _ k: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0
    ) {
        program.append(ctsync_bpf(code: code, jt: ifTrue, jf: ifFalse, k: k))
    }
}
