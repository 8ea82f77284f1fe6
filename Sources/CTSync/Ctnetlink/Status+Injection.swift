// SPDX-License-Identifier: GPL-2.0-or-later

extension Status {
    /// What is not sent with a new entry: it is another node's, or the kernel finds it itself.
    static let notAtCreation: Status = [
        .IPS_EXPECTED, .IPS_SRC_NAT, .IPS_DST_NAT, .IPS_SRC_NAT_DONE, .IPS_DST_NAT_DONE,
        .IPS_SEQ_ADJUST, .IPS_DYING, .IPS_TEMPLATE, .IPS_NAT_CLASH, .IPS_OFFLOAD, .IPS_HW_OFFLOAD,
    ]

    /// What an update may set; the kernel refuses to clear the first two.
    static let changeable: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED, .IPS_FIXED_TIMEOUT]
}
