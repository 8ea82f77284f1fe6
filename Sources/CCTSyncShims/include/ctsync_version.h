/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the build knows of the source.
 */
#ifndef CTSYNC_VERSION_H
#define CTSYNC_VERSION_H

/* The commit that was built, as the environment of the build gave it (CT_SYNC_COMMIT); empty for a
 * build that was given none. */
const char *ctsync_commit(void);

#endif
