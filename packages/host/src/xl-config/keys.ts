/** Settings of xl.cfg(5) that are not read, and what becomes of a configuration that has them. */

const words = (text: string): string[] => text.trim().split(/\s+/);

/** What is missing of those whose absence would make another machine; none of them may be set (0, "" and [] are not set). */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ...words('vif2 vtpm p9 pvcalls vdispl vsnd vfb vkb channel usbctrl usbdev usbdevice dtdev').map(
    (key) => [key, 'there is no such device yet'] as const,
  ),
  ...words('pci ioports iomem irqs gfx_passthru rdm').map(
    (key) => [key, 'there is no hardware to pass through'] as const,
  ),
  ['bootloader', 'there are no boot loaders; give a kernel'],
  ['e820_host', 'there is no memory map of a host to show'],
  ['cpuid', 'what the guest sees of the processor cannot be changed'],
  ['tsc_mode', 'the TSC always counts system time, as with "default"'],
  ['vnuma', 'there are no NUMA nodes'],
  ['localtime', 'guests have UTC'],
  ['rtc_timeoffset', 'guests have the time of the host'],
  ['pvshim', 'there are no PVH guests'],
  ['device_tree', 'it belongs to Arm'],
]);

/** Those that change nothing that a guest here could see. */
export const IGNORED: ReadonlyMap<string, string> = new Map([
  ...words('cpus cpus_soft pool').map((key) => [key, 'there is one physical processor'] as const),
  ...words('period slice latency extratime').map(
    (key) => [key, 'it belongs to a scheduler that is not here'] as const,
  ),
  ...words('seclabel init_seclabel device_model_stubdomain_seclabel').map(
    (key) => [key, 'there are no security labels'] as const,
  ),
  ['nomigrate', 'there is no migration'],
  ['vmtrace_buf_kb', 'there is no such tracing'],
  ['xend_suspend_evtchn_compat', 'xl has no use for it either'],
  ...words('bootloader_args pvshim_path pvshim_cmdline pvshim_extra').map(
    (key) => [key, 'nothing here reads it'] as const,
  ),
  ...words('passthrough pci_msitranslate pci_power_mgmt pci_permissive pci_seize rdm_mem_boundary').map(
    (key) => [key, 'there is no hardware to pass through'] as const,
  ),
  ...words('gic_version tee vuart').map((key) => [key, 'it belongs to Arm'] as const),
  ...words(`
    acpi acpi_firmware acpi_laptop_slate acpi_s3 acpi_s4 altp2m altp2mhvm apic bios bios_path_override boot
    device_model device_model_args device_model_args_hvm device_model_args_pv device_model_override
    device_model_stubdomain_override device_model_user device_model_version display dm_restrict firmware
    firmware_override hap hdtype hpet keymap mca_caps mmio_hole ms_vm_genid msr_relaxed nestedhvm nographic nx oos opengl
    pae sdl serial shadow_memory smbios_firmware soundhw spice spice_clipboard_sharing spice_image_compression
    spice_streaming_video spiceagent_mouse spicedisable_ticketing spicehost spicepasswd spiceport spicetls_port
    spiceusbredirection spicevdagent stdvga stubdomain_cmdline stubdomain_kernel stubdomain_memory stubdomain_ramdisk
    timer_mode usb usbversion vendor_device vga videoram viridian vkb_device vnc vncdisplay vnclisten vncpasswd vncunused
    vncviewer vpmu vpt_align xauthority xen_platform_pci
  `).map((key) => [key, 'it is for HVM guests'] as const),
]);
