import * as xenAbi from '@xenolith/xen-abi';
import { type Fields, isLayout, type Layout, walkFields } from '@xenolith/xen-abi';

/** Headers that declare what xen-abi exports; errno.h is included apart. */
const headers = [
  'xen.h',
  'arch-x86/cpuid.h',
  'callback.h',
  'elfnote.h',
  'event_channel.h',
  'features.h',
  'grant_table.h',
  'hvm/hvm_op.h',
  'hvm/params.h',
  'io/console.h',
  'io/ring.h',
  'io/xenbus.h',
  'io/xs_wire.h',
  'memory.h',
  'nmi.h',
  'physdev.h',
  'platform.h',
  'sched.h',
  'vcpu.h',
  'version.h',
];

/** Layouts that are the fixed front part of types which the headers make by macro. */
const frontParts: Record<string, { cType: string; end: string }> = {
  SringHeader: { cType: 'struct probe_sring', end: 'ring' },
  FlexRingHeader: { cType: 'struct probe_data_intf', end: 'ref' },
};

/** Constants that have no name in the headers. */
const expressions: Record<string, string> = { SRING_RING_OFFSET: 'offsetof(struct probe_sring, ring)' };

function layoutLines(name: string, layout: Layout<Fields>): string[] {
  const front = frontParts[name];
  const cType = front?.cType ?? layout.cType;
  if (cType === '') throw new Error(`${name} has no C type to compare with`);
  const size = front ? `offsetof(${cType}, ${front.end})` : `sizeof(${cType})`;
  const fields = [...walkFields(layout)].map(({ path, kind }) => {
    const member = `((${cType} *)0)->${path}`;
    const signed =
      kind === 'signed' || kind === 'unsigned'
        ? `(__typeof__(${member}))-1 < (__typeof__(${member}))1`
        : '-1';
    return `  field("${path}", offsetof(${cType}, ${path}), sizeof(${member}), ${signed});`;
  });
  return [`  layout("${name}", ${size});`, ...fields];
}

/**
 * The C program. It prints JSON: `layouts` (sizes, offsets of fields, sizes of fields, signedness of integers) and
 * `constants` (decimal text, because JSON has no 64-bit integers).
 */
export function program(): string {
  const layouts: string[] = [];
  const constants: string[] = [];
  for (const [name, value] of Object.entries(xenAbi)) {
    if (isLayout(value)) layouts.push(...layoutLines(name, value));
    if (typeof value === 'number' || typeof value === 'bigint') {
      const expression = expressions[name] ?? (name in xenAbi.errnos ? `XEN_${name}` : name);
      const type = typeof value === 'bigint' || value >= 0 ? 'unsigned long long' : 'long long';
      constants.push(`  constant("${name}", ${type === 'long long' ? '1' : '0'}, (${type})(${expression}));`);
    }
  }
  return `#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define __XEN_TOOLS__ 1
${headers.map((h) => `#include <xen/${h}>`).join('\n')}
#include <xen/arch-x86/xen-mca.h>

/* Some errnos are declared for the hypervisor's own side only. */
#define __XEN__ 1
#define XEN_ERRNO(name, value) XEN_##name = value,
enum {
#include <xen/errno.h>
};

DEFINE_RING_TYPES(probe, uint64_t, uint64_t);
DEFINE_XEN_FLEX_RING_AND_INTF(probe);

static const char *layout_end = "", *field_sep = "", *constant_sep = "";
static void layout(const char *name, size_t size) {
  printf("%s\\n    \\"%s\\": { \\"size\\": %zu, \\"fields\\": {", layout_end, name, size);
  layout_end = " } },";
  field_sep = "";
}
static void field(const char *path, size_t offset, size_t size, int is_signed) {
  printf("%s\\n      \\"%s\\": { \\"offset\\": %zu, \\"size\\": %zu%s }", field_sep, path, offset, size,
         is_signed < 0 ? "" : is_signed ? ", \\"signed\\": true" : ", \\"signed\\": false");
  field_sep = ",";
}
static void constant(const char *name, int is_signed, unsigned long long value) {
  printf("%s\\n    \\"%s\\": \\"", constant_sep, name);
  printf(is_signed ? "%lld\\"" : "%llu\\"", value);
  constant_sep = ",";
}

int main(void) {
  printf("{\\n  \\"layouts\\": {");
${layouts.join('\n')}
  printf(" } }\\n  },\\n  \\"constants\\": {");
${constants.join('\n')}
  printf("\\n  }\\n}\\n");
  return 0;
}
`;
}
