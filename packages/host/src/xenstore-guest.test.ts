import { xenstoreKernel } from '@xenolith/guest-kernels';
import { expect, it } from 'vitest';
import { TestHost } from './testing.js';

const expected = `
write data/greeting          OK
write data/list/two          OK
make data/list/one           OK
read data/greeting           hello
list data/list               two one
path of domain 7             /local/domain/7
read data/nothing            ENOENT
read another's               EACCES
remove data/list             OK
list data                    greeting
permissions                  n1
let domain 0 read            OK
permissions                  n1 r0
give it to domain 0          EPERM
watch data                   OK
event                        data
write data/a/b               OK
event                        data/a/b
remove data/a                OK
event                        data/a
watch data again             EEXIST
unwatch data                 OK
write data/a                 OK
event                        none
transaction, disturbed       EAGAIN
transaction, again           OK
read data/counter            6
write 1889 bytes             OK
read them                    1889 bytes
watch data, event            data
reset watches                OK
event                        none
reconnect                    done
end the old transaction      ENOENT
`;

it('a guest uses xenstore in every way', async () => {
  const test = await TestHost.create();
  const all = test.boot(xenstoreKernel);
  await test.host.run();
  expect(all.output.replaceAll('\r', '')).toBe(expected.slice(1));
  expect((await all.guest.ended).reason).toBe('poweroff');
});

it('a guest does what its toolstack writes into control/shutdown', async () => {
  const test = await TestHost.create();
  const waiting = test.boot(xenstoreKernel, { cmdline: 'wait' });
  const { local } = test.host.xenstore;
  await test.until(() => local.list('/local/domain/1').length > 0);
  local.write('/local/domain/1/control/shutdown', 'sing');
  local.write('/local/domain/1/control/shutdown', 'poweroff');
  await test.host.run();
  expect(waiting.output).toBe('poweroff: as you wish\r\n');
  expect((await waiting.guest.ended).reason).toBe('poweroff');
});
