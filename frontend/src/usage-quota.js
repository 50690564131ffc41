// The script of the Usage Quota Dashboard. Pages are whole without it, in UTC and as of when they were
// opened; it shows times in the browser's zone, keeps pages up to date and makes plots readable.

import { keepUpToDate } from "./live.js";
import { readPlots } from "./plots.js";
import { showLocalTimes } from "./times.js";

showLocalTimes(document);
readPlots(document);
keepUpToDate();
