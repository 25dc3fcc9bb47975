// Hands the page's masks to the stage of a canvas, which may come to the screen a little later, or be another one by
// then where the picture is another.

const PATIENCE = 100, PAUSE_MS = 50;

export default function ({ data }) {
  let left = PATIENCE, handed = null;
  const hand = () => {
    const stage = window.samkitStages?.get(data.frame);
    if (stage !== handed && stage?.data?.view === data.view) {
      stage.setOverlay(data);
      handed = stage;
    }
    if (left-- > 0) timer = setTimeout(hand, PAUSE_MS);
  };
  let timer = setTimeout(hand);
  return () => clearTimeout(timer);
}
