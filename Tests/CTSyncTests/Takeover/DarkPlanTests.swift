// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct DarkPlanTests {
    private static let loopback = device(1, "lo") { $0.flags = 0x9 }

    private static func device(
        _ index: UInt32, _ name: String, kind: String = "", lower: UInt32? = nil,
        master: UInt32? = nil, _ adjust: (inout Device) -> Void = { _ in }
    ) -> Device {
        var device = Device(index: index, name: name)
        device.kind = kind
        device.lower = lower
        device.master = master
        device.address = [2, 0, 0, 0, 0, UInt8(truncatingIfNeeded: index)]
        adjust(&device)
        return device
    }

    @Test func plainDevices() {
        let plan = DarkPlan(
            [
                Self.loopback, Self.device(2, "eth0"), Self.device(3, "eth1"),
                Self.device(4, "mgmt"),
            ], open: ["eth1", "mgmt", "ppp0"])
        #expect(plan.open == ["lo", "eth1", "mgmt", "ppp0"])
        #expect(plan.dark == ["eth0"])
        #expect(plan.carriers.isEmpty)
    }

    @Test func vlanOfABondFromAnswersOfTheKernel() throws {
        let bytes =
            LinkMessage.bond + LinkMessage.member("eth1", index: 3)
            + LinkMessage.member("eth2", index: 4)
            + LinkMessage.newLink(
                index: 8,
                [
                    LinkMessage.name("sync"), LinkMessage.attribute(5, [5, 0, 0, 0]),
                    LinkMessage.info(kind: "vlan", data: LinkMessage.attribute(1, [20, 0])),
                ])
            + LinkMessage.newLink(
                index: 10,
                [
                    LinkMessage.name("lan"), LinkMessage.attribute(5, [5, 0, 0, 0]),
                    LinkMessage.info(kind: "vlan", data: LinkMessage.attribute(1, [30, 0])),
                ])
        let devices = try DeviceReader(bytes.span.bytes).devices
        let plan = DarkPlan([Self.loopback] + devices, open: ["sync"])
        #expect(plan.open == ["lo", "sync"])
        #expect(plan.dark == ["lan"])
        #expect(
            plan.carriers == [
                .init(name: "bond0", carried: [.tagged(.init(identifier: 20))]),
                .init(name: "eth1", carried: [.everything]),
                .init(name: "eth2", carried: [.everything]),
            ])
    }

    @Test func bondItself() {
        let plan = DarkPlan(
            [
                Self.device(2, "eth1", master: 4), Self.device(3, "eth2", master: 4),
                Self.device(4, "bond0", kind: "bond"), Self.device(5, "eth0"),
            ], open: ["bond0"])
        #expect(plan.dark == ["eth0"])
        #expect(plan.carriers.map(\.name) == ["eth1", "eth2"])
    }

    @Test func twoVLANsShareADevice() {
        let tags = [Device.Tag(identifier: 7), Device.Tag(identifier: 8, etherType: 0x88A8)]
        let plan = DarkPlan(
            [
                Self.device(2, "eth0"),
                Self.device(3, "a", kind: "vlan", lower: 2) { $0.tag = tags[0] },
                Self.device(4, "b", kind: "vlan", lower: 2) { $0.tag = tags[1] },
                Self.device(5, "c", kind: "vlan", lower: 2) { $0.tag = .init(identifier: 9) },
            ], open: ["a", "b"])
        #expect(plan.dark == ["c"])
        #expect(plan.carriers.map(\.name) == ["eth0"])
        #expect(Set(plan.carriers.first?.carried ?? []) == Set(tags.map { .tagged($0) }))
    }

    @Test func vlanInAVLAN() {
        let plan = DarkPlan(
            [
                Self.device(2, "eth0"),
                Self.device(3, "outer", kind: "vlan", lower: 2) {
                    $0.tag = .init(identifier: 7, etherType: 0x88A8)
                },
                Self.device(4, "inner", kind: "vlan", lower: 3) { $0.tag = .init(identifier: 8) },
            ], open: ["inner"])
        #expect(
            plan.carriers == [
                .init(
                    name: "eth0", carried: [.tagged(.init(identifier: 7, etherType: 0x88A8))]),
                .init(name: "outer", carried: [.tagged(.init(identifier: 8))]),
            ])
    }

    @Test func bridgePortOpensTheBridgeAndNotItsOtherPorts() {
        let plan = DarkPlan(
            [
                Self.device(2, "eth0", master: 4), Self.device(3, "eth1", master: 4),
                Self.device(4, "br0", kind: "bridge"),
            ], open: ["eth1"])
        #expect(plan.open == ["lo", "eth1", "br0"])
        #expect(plan.dark == ["eth0"])
    }

    @Test func vlanOfABridge() {
        let tag = Device.Tag(identifier: 7)
        let plan = DarkPlan(
            [
                Self.device(2, "eth0", master: 4), Self.device(4, "br0", kind: "bridge"),
                Self.device(5, "sync", kind: "vlan", lower: 4) { $0.tag = tag },
            ], open: ["sync"])
        #expect(
            plan.carriers == [
                .init(name: "eth0", carried: [.tagged(tag)]),
                .init(name: "br0", carried: [.tagged(tag)]),
            ])
    }

    @Test func macvlanKnowsItsStation() {
        let plan = DarkPlan(
            [Self.device(2, "eth0"), Self.device(3, "sync", kind: "macvlan", lower: 2)],
            open: ["sync"])
        #expect(
            plan.carriers == [.init(name: "eth0", carried: [.station([2, 0, 0, 0, 0, 3])])])
    }

    @Test func loopsEnd() {
        let plan = DarkPlan(
            [
                Self.device(2, "a", kind: "macvlan", lower: 3, master: 3),
                Self.device(3, "b", kind: "macvlan", lower: 2, master: 2),
            ], open: ["a"])
        #expect(plan.open == ["lo", "a", "b"])
    }

    @Test func manyDevicesAreSpreadOverChains() {
        let plan = DarkPlan((1...300).map { Self.device($0, "ppp\($0)") }, open: ["sync"])
        let text = NetdevRuleset(table: "t").replacement(plan)
        #expect(text.contains(" t ingress2 ") && !text.contains(" t ingress3 "))
    }

    @Test func instancesHaveNamesThatFit() {
        #expect(L2Drop.name(of: "") == "ct_sync_l2drop")
        #expect(L2Drop.name(of: "lan") == "ct_sync_l2drop_lan")
        for instance in ["a-long.instance/name", "ünicode", "ninechars", "a b"] {
            let name = L2Drop.name(of: instance)
            #expect(name.utf8.count <= 24)
            #expect(name.hasPrefix("ct_sync_l2drop_x"))
        }
    }
}
