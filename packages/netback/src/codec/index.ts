export {
  CONTROL_SLOT_SIZE,
  type ControlRequest,
  type ControlResponse,
  decodeControlRequest,
  decodeControlResponse,
  encodeControlRequest,
  encodeControlResponse,
} from './control.js';
export { decodeExtra, type ExtraInfo, encodeExtra } from './extra.js';
export { BrokenChain, type Piece, piecesOf, type TxPacket, takePacket } from './packet.js';
export {
  decodeRxRequest,
  decodeRxResponse,
  encodeRxRequest,
  encodeRxResponse,
  RX_SLOT_SIZE,
  type RxRequest,
  type RxResponse,
} from './rx.js';
export {
  decodeTxRequest,
  decodeTxResponse,
  encodeTxRequest,
  encodeTxResponse,
  NULL_RESPONSE,
  TX_SLOT_SIZE,
  type TxRequest,
  type TxResponse,
} from './tx.js';
