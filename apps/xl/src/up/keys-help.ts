/** The keys of `xenolith up`; `--help` shows the same. */
export const KEYS_HELP = `Keys, each after Ctrl-]:
  1 … 9   show the guest of that number
  n p     show the next, the previous guest
  l       list the guests
  z       pause the guest that is shown, or let it go on
  s r     ask it to shut down, to reboot
  k       destroy it
  q       leave: all guests end
  Ctrl-]  send a Ctrl-] to the guest
  ?       this list`;
