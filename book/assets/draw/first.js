// The first page of the book: three candidates, and what speaks for the chosen one rather than its
// rival.

import { LivePage, part } from "./live.js";

new LivePage(3).open(["pointerdown"], part("canvas"));
