// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct NodeIDTests {
    static let machineID = "0123456789abcdef0123456789abcdef\n"

    private func settled(_ id: String?, machineID: String?) throws -> Configuration {
        let device = Setting("syncdev", "s", .flag)
        let given = id.map { [Setting("id", $0, .flag)] } ?? []
        var configuration = try Configuration(file: [], commandLine: [device] + given)
        configuration.settleNodeID(machineID: machineID)
        return configuration
    }

    /// It must stay so in every version: a node keeps its number.
    @Test func theNumberOfAMachineIDIsAlwaysTheSame() throws {
        #expect(MachineID.nodeID(Self.machineID) == 74)
        #expect(MachineID.nodeID(Self.machineID.uppercased()) == 74)
        let configuration = try settled(nil, machineID: Self.machineID)
        #expect(configuration.nodeID == 74 && configuration.nodeIDOrigin == .machineID)
    }

    @Test func theNumbersAreSpreadOver1To255() {
        var seen: Set<UInt8> = []
        for number in 0..<4_000 {
            let digits = String(number + 0x1000_0000, radix: 16)
            let id = MachineID.nodeID(String(repeating: digits, count: 4) + "\n")
            if let id { seen.insert(id) }
        }
        #expect(seen == Set(1...255))
    }

    @Test(arguments: ["0", "7"]) func aSettingWins(_ id: String) throws {
        let configuration = try settled(id, machineID: Self.machineID)
        #expect(configuration.nodeID == UInt8(id) && configuration.nodeIDOrigin == .setting)
    }

    @Test(
        arguments: [
            nil, "", "uninitialized\n", "00000000000000000000000000000000\n",
            "0123456789abcdef0123456789abcde\n", "0123456789abcdef0123456789abcdeg\n",
            "\n0123456789abcdef0123456789abcdef",
        ]) func withoutAMachineIDItIsTheModulesDefault(_ text: String?) throws
    {
        let configuration = try settled(nil, machineID: text)
        #expect(configuration.nodeID == 0 && configuration.nodeIDOrigin == .none)
    }

    @Test func theMachineIDIsReadFromItsFile() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("machine-id")
        #expect(MachineID.text(path: path) == nil)
        ScratchDirectory.write(Self.machineID, to: path)
        #expect(MachineID.text(path: path) == Self.machineID)
    }
}
