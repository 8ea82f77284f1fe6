/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The calls and layouts that Swift cannot spell, one header an area. Every symbol carries the
 * prefix ctsync_.
 */
#ifndef CCTSYNC_SHIMS_H
#define CCTSYNC_SHIMS_H

#include "ctsync_system.h"
#include "ctsync_socket.h"
#include "ctsync_control.h"
#include "ctsync_netlink.h"
#include "ctsync_takeover.h"
#include "ctsync_seal.h"
#include "ctsync_version.h"

#endif
