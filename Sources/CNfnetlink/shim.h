#include <libnfnetlink/libnfnetlink.h>
