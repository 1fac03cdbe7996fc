/*
 * Stands in for Xen beneath Debian's xenstored, which then runs on any Linux: its libxenctrl, libxenevtchn and
 * libxengnttab, all in one. A domain N exists while there is a file $FAKE_XEN/domN.page, which is its xenstore page;
 * it has shut down when there is a file $FAKE_XEN/domN.shutdown. A byte written to the FIFO $FAKE_XEN/events wakes
 * the daemon: 1 as VIRQ_DOM_EXC, another as an event of a domain.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define VIRQ_PORT 1

static int events = -1;

static const char *file(const char *kind, unsigned domid)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/dom%u.%s", getenv("FAKE_XEN"), domid, kind);
	return path;
}

static const char *events_path(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/events", getenv("FAKE_XEN"));
	return path;
}

/* Domain 0's page and port come from files of Linux's. */
int open(const char *path, int flags, ...)
{
	va_list rest;
	int mode;

	va_start(rest, flags);
	mode = va_arg(rest, int);
	va_end(rest);
	if (!strcmp(path, "/proc/xen/xsd_kva"))
		path = file("page", 0);
	if (!strcmp(path, "/proc/xen/xsd_port"))
		path = file("port", 0);
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned flags)
{
	return (xc_interface *)1;
}

int xc_interface_close(xc_interface *xch)
{
	return 0;
}

int xc_domain_getinfo(xc_interface *xch, uint32_t first, unsigned max, xc_dominfo_t *info)
{
	if (access(file("page", first), F_OK))
		return 0;
	memset(info, 0, sizeof(*info));
	info->domid = first;
	info->shutdown = !access(file("shutdown", first), F_OK);
	return 1;
}

xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned flags)
{
	return (xengnttab_handle *)1;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr)
{
	return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	int fd = open(file("page", domid), O_RDWR);
	void *page;

	if (fd < 0)
		return NULL;
	page = mmap(NULL, 4096, prot, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	return munmap(start, 4096);
}

xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned flags)
{
	/* Open for both, so that it never ends. */
	events = open(events_path(), O_RDWR | O_CLOEXEC);
	return events < 0 ? NULL : (xenevtchn_handle *)1;
}

xenevtchn_handle *xenevtchn_fdopen(xentoollog_logger *logger, int fd, unsigned flags)
{
	return NULL;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return events;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned virq)
{
	return VIRQ_PORT;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote)
{
	return VIRQ_PORT + 1 + domid;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	unsigned char port;

	return read(events, &port, 1) == 1 ? port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}
