import { realpath } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import {
  type BlockDevice,
  BlockDeviceError,
  HttpDevice,
  OverlayDevice,
  Qcow2Device,
} from '@xenolith/blkback';
import { FileDevice } from '@xenolith/blkback/node';

/** Images that can be below each other. */
const MAX_CHAIN = 16;

export type ImageFormat = 'raw' | 'qcow2';

export const isAddress = (place: string): boolean => /^https?:\/\//.test(place);

/** Whether an image of the kind is never written to: what a guest writes is kept elsewhere. */
export const isBaseOnly = (place: string, format: ImageFormat): boolean =>
  format !== 'raw' || isAddress(place);

/**
 * Opens an image. What can only be read and is to be written gets a layer above it, in a temporary file.
 * @param place a path or an address (http)
 * @throws BlockDeviceError, or the TypeError of fetch
 */
export async function openImage(place: string, format: ImageFormat, readonly: boolean): Promise<BlockDevice> {
  if (!isBaseOnly(place, format)) return FileDevice.open(place, { readonly });
  const base = await openBase(place, format, []);
  if (readonly) return base;
  try {
    return new OverlayDevice(base, await FileDevice.temporary(base.size));
  } catch (error) {
    await base.close?.();
    throw error;
  }
}

/** @param above the images that this one is below of */
async function openBase(place: string, format: ImageFormat, above: readonly string[]): Promise<BlockDevice> {
  const file: BlockDevice = isAddress(place)
    ? await HttpDevice.open(place)
    : await FileDevice.open(place, { readonly: true, padded: true });
  if (format === 'raw') return file;
  const openBacking = async (name: string, claimed: string | undefined): Promise<BlockDevice> => {
    if (claimed !== 'raw' && claimed !== 'qcow2') {
      throw new BlockDeviceError(
        claimed === undefined
          ? `${place} does not say of what format its backing file is: \`qemu-img rebase -u -F FORMAT -b ${name} ${place}\` writes it`
          : `the backing file of ${place} is of the format ${claimed}, which cannot be read`,
      );
    }
    const chain = [...above, place];
    const below = await locate(place, name);
    if (chain.length === MAX_CHAIN)
      throw new BlockDeviceError(`more than ${MAX_CHAIN} images are below each other at ${chain[0]}`);
    return openBase(below, claimed, chain);
  };
  try {
    return await Qcow2Device.open(file, { name: place, openBacking });
  } catch (error) {
    await file.close?.();
    throw error;
  }
}

/**
 * Where a backing file is. Its name stands in the image, where anybody may have written it, so that a guest could be made to
 * read any file of this machine: it has to lie beside the image, or below.
 */
async function locate(image: string, name: string): Promise<string> {
  const refused = (): BlockDeviceError =>
    new BlockDeviceError(
      `${image} has ${JSON.stringify(name)} below it, which is not in the image's own directory: ` +
        'put it there, or make one image of both (`qemu-img convert`)',
    );
  if (isAddress(image)) {
    const below = new URL(name, image);
    if (!below.href.startsWith(new URL('.', image).href)) throw refused();
    return below.href;
  }
  if (/^[a-z][a-z0-9+.-]+:/i.test(name)) throw refused();
  const directory = await realpath(dirname(image));
  const below = await realpath(resolve(directory, name)).catch((error: Error) => {
    throw new BlockDeviceError(`what is below ${image} cannot be opened: ${error.message}`);
  });
  if (!below.startsWith(directory.endsWith(sep) ? directory : directory + sep)) throw refused();
  return below;
}
