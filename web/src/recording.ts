// A recording of what is shown. Its size is that of the first picture: some players, and the H.264
// encoders of browsers, take no change of size. Pictures of another shape, as of a phone that was
// turned, get bars.

const KINDS = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm"];

export class Recording {
  private readonly canvas = document.createElement("canvas");
  private readonly context = this.canvas.getContext("2d")!;
  private readonly recorder: MediaRecorder;

  /** Record from `view` on; `ended` gets the file and its suffix. Raises an error where no kind of file can be written. */
  constructor(view: HTMLCanvasElement, ended: (file: Blob, suffix: string) => void) {
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    if (!mimeType) throw new Error("This browser cannot record.");
    // Encoders want even sides.
    this.canvas.width = Math.max(view.width & ~1, 2);
    this.canvas.height = Math.max(view.height & ~1, 2);
    this.add(view);
    const parts: Blob[] = [], stream = this.canvas.captureStream();
    this.recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: 5e6 });
    this.recorder.ondataavailable = ({ data }) => parts.push(data);
    this.recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      ended(new Blob(parts, { type: mimeType }), mimeType.startsWith("video/mp4") ? "mp4" : "webm");
    };
    this.recorder.start(1000);
  }

  /** The next picture: `view` as large as it fits, in the middle. */
  add(view: HTMLCanvasElement): void {
    const { width, height } = this.canvas;
    const scale = Math.min(width / view.width, height / view.height);
    const [own, tall] = [view.width * scale, view.height * scale];
    this.blank();
    this.context.drawImage(view, (width - own) / 2, (height - tall) / 2, own, tall);
  }

  /** A black picture, until the next one. */
  blank(): void {
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  stop(): void {
    if (this.recorder.state !== "inactive") this.recorder.stop();
  }
}
